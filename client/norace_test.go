//go:build !race

package client_test

const slowness = 1
