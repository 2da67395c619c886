// Package hostlist is the names of many hosts in one word, as pdsh and
// ClusterShell write them: node[1-16,20].
package hostlist
