//go:build !unix

package store

func outOfSpace(string) bool { return false }
func unwritable(string) bool { return false }
