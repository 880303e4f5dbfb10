//go:build race

package client_test

const slowness = 5 // of the race detector, about; tests do that much less
