// Package archive brings files that somebody else made into a directory: from tar,
// tar.gz and zip archives, or from a directory.
//
// Everything is written through an [os.Root], so nothing lands outside of it,
// whatever an archive names and whoever swaps directories for links meanwhile. What
// an archive says of itself is not believed: sizes are counted as bytes come, and
// what goes beyond a limit ends the unpacking. What is not a file or a directory is
// refused, with its name, as are names that lead elsewhere, hide something, or
// cannot be told apart by every file system. Of modes only executable remains.
//
// An error leaves what was written so far, for the caller to remove with the rest
// of the directory.
package archive

import (
	"mgx"
)

// Limits bound what may be unpacked. Every field must be set.
type Limits struct {
	Entries int   // files and directories
	Bytes   int64 // of all files together
	Ratio   int64 // bytes of files per byte of the archive, once they are more than a megabyte
	Depth   int   // directories within each other
	Name    int   // bytes of a whole name
}

// Defaults are the limits of what a run is given.
var Defaults = Limits{Entries: 10_000, Bytes: 64 << 20, Ratio: 200, Depth: 32, Name: 1024}

// Kinds of archives that [Kind] tells apart.
const (
	Tar   = "tar"
	TarGz = "tar.gz"
	Zip   = "zip"
)

// CodeRefused is the code of errors about what is not taken, with its reason.
const CodeRefused = "archive_refused"

func refused(format string, args ...any) error {
	return mgx.Errorf(mgx.KindUsage, CodeRefused, format, args...)
}
