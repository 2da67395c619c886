package main

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"hubfs/cmd/hub/internal/server"
)

// completePatience is how long a person waits for a completion.
const completePatience = time.Second

// complete returns names from the server, which is not started for that.
func (a *app) complete(names func(server.Status) []string) ([]string, cobra.ShellCompDirective) {
	ctx, cancel := context.WithTimeout(context.Background(), completePatience)
	defer cancel()
	srv, err := a.connect(ctx, false)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	defer srv.Close()
	st, err := srv.Status(ctx)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return names(st), cobra.ShellCompDirectiveNoFileComp
}

func shellNames(st server.Status) (names []string) {
	for _, sh := range st.Shells {
		names = append(names, sh.Name+"\t"+sh.State+" "+sh.Command)
	}
	return names
}

func hubNames(st server.Status) (names []string) {
	for _, h := range st.Hubs {
		names = append(names, h.Name+"\t"+h.Mode)
	}
	return names
}

func (a *app) completeShells(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return a.complete(shellNames)
}

func (a *app) completeHubs(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return a.complete(hubNames)
}

func jobNames(st server.Status) (names []string) {
	for _, j := range st.Jobs {
		names = append(names, j.Name+"\t"+j.State+" "+j.Command)
	}
	return names
}

// completeRunning completes shells and jobs.
func (a *app) completeRunning(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return a.complete(func(st server.Status) []string { return append(shellNames(st), jobNames(st)...) })
}

func (a *app) completeAll(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return a.complete(func(st server.Status) []string { return slices.Concat(shellNames(st), hubNames(st), jobNames(st)) })
}

// completeEach completes any number of shells and hubs, each once.
func (a *app) completeEach(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
	return a.complete(func(st server.Status) []string {
		return slices.DeleteFunc(slices.Concat(shellNames(st), hubNames(st), jobNames(st)), func(entry string) bool {
			name, _, _ := strings.Cut(entry, "\t")
			return slices.Contains(args, name)
		})
	})
}

// completeFirst completes the first argument and nothing after it.
func (a *app) completeFirst(first cobra.CompletionFunc) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return first(cmd, args, word)
	}
}
