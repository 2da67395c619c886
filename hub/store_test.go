package hub_test

import (
	"testing"

	"hubfs/hub"
	"hubfs/hub/storetest"
)

func TestMemoryIsAStore(t *testing.T) {
	storetest.Run(t, func(*testing.T) hub.Store { return hub.NewMemory() })
}
