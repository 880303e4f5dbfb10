//go:build linux

package native

// Start starts an init of a box with namespaces.
var Start = start(namespaces)

// LandlockCheck is what is said of a version.
var LandlockCheck = landlockCheck
