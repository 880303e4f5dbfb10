package event

import (
	"fmt"
	"strings"
)

// CloseCode says why the server closes a WebSocket: by RFC 6455, section 7.4.1 and the
// registry that it set up, or from 4000 on by the sub-protocol alone.
type CloseCode int

const (
	CloseNotText         CloseCode = 1003
	CloseBadFrames       CloseCode = 1008
	CloseTooBig          CloseCode = 1009
	CloseFailed          CloseCode = 1011
	CloseRestarting      CloseCode = 1012
	CloseTryLater        CloseCode = 1013
	CloseUnauthenticated CloseCode = 4001
	CloseRefused         CloseCode = 4003
	CloseTooSlow         CloseCode = 4008
	CloseSuperseded      CloseCode = 4009
	CloseTooManyStreams  CloseCode = 4029
)

// Closing is what a close code tells a client.
type Closing struct {
	Code  CloseCode
	Means string
	Then  string // whether to connect again
}

// Closings are all that the server closes with, by code.
func Closings() []Closing {
	return []Closing{
		{CloseNotText, "not a text frame", "mend the client"},
		{CloseBadFrames, "16 frames that could not be done", "mend the client"},
		{CloseTooBig, "a frame above 64 KB", "mend the client"},
		{CloseFailed, "the server failed", "yes"},
		{CloseRestarting, "the server restarts", "yes, after a random wait"},
		{CloseTryLater, "the server could not find out who you are, or you may see less than when you connected", "yes"},
		{CloseUnauthenticated, "not authenticated, or no longer", "no"},
		{CloseRefused, "a channel is not yours", "no"},
		{CloseTooSlow, "nothing was taken for 30 s", "yes, when you can"},
		{CloseSuperseded, "a newer connection with the same `?client=` name has taken over", "no"},
		{CloseTooManyStreams, "this person, key or workspace has as many streams open as it may; other programs get 429 `too_many_streams` instead", "yes, after 15 s"},
	}
}

// closings describes them in the AsyncAPI document, for people and for programs.
func closings() (words string, list []any) {
	var all []string
	for _, c := range Closings() {
		all = append(all, fmt.Sprintf("%d: %s (again: %s)", c.Code, c.Means, c.Then))
		list = append(list, object{"code": int(c.Code), "meaning": c.Means, "again": c.Then})
	}
	return "Close codes: " + strings.Join(all, "; ") + ".", list
}
