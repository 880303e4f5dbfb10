//go:build linux && (amd64 || arm64 || riscv64)

package boxinit

import (
	"os"
	"strconv"
	"syscall"
	"unsafe"
)

// System calls that package syscall does not have. Their numbers are the same on
// every machine that Linux has met since 2018.
const (
	sysOpenTree     = 428
	sysMoveMount    = 429
	sysFsopen       = 430
	sysFsconfig     = 431
	sysFsmount      = 432
	sysCloseRange   = 436
	sysOpenat2      = 437
	sysMountSetattr = 442
)

// From the kernel's headers.
const (
	atEmptyPath    = 0x1000
	atRecursive    = 0x8000
	openPath       = 0x200000 // O_PATH
	openTreeClone  = 1
	fsopenCloexec  = 1
	fsmountCloexec = 1

	fsconfigSetFlag   = 0
	fsconfigSetString = 1
	fsconfigCreate    = 6

	attrReadOnly = 1
	attrNoSuid   = 2
	attrNoDev    = 4
	attrNoExec   = 8

	moveFromEmptyPath = 4
	moveToEmptyPath   = 0x40

	resolveNoSymlinks = 4

	prSetDumpable       = 4
	prSetName           = 15
	prCapBSetRead       = 23
	prCapBSetDrop       = 24
	prSetTimerSlack     = 29
	prSetChildSubreaper = 36
	prSetNoNewPrivs     = 38
	prCapAmbient        = 47
	prCapAmbientClear   = 4
	usualSlack          = 50_000 // nanoseconds; what the kernel begins with
	capabilityVersion3  = 0x20080522
	keyctlJoinSession   = 1
	seccompSetFilter    = 1
	// seccompFlags leave out the brake on speculation that older kernels put on
	// filtered processes (SECCOMP_FILTER_FLAG_SPEC_ALLOW): it guards secrets of a
	// process against its own code, and costs a third of the speed of some
	// programs.
	seccompFlags = 4
)

// call makes a system call. Pointers are converted in the argument list of the
// call, where the compiler then keeps what they point to in place.
//
//go:uintptrescapes
func call(number uintptr, args ...uintptr) (int, error) {
	var a [6]uintptr
	copy(a[:], args)
	r, _, errno := syscall.Syscall6(number, a[0], a[1], a[2], a[3], a[4], a[5])
	if errno != 0 {
		return -1, errno
	}
	return int(r), nil
}

// pointer is to s as the kernel wants it.
func pointer(s string) unsafe.Pointer {
	b := make([]byte, len(s)+1)
	copy(b, s)
	return unsafe.Pointer(&b[0])
}

// here is AT_FDCWD: paths begin at the working directory.
const here = ^uintptr(99)

func prctl(option uintptr, arg uintptr) error {
	_, err := call(syscall.SYS_PRCTL, option, arg, 0, 0, 0)
	return err
}

// write writes all at once, as files of the kernel want it, to a file that exists.
func write(dir uintptr, name, text string) error {
	fd, err := call(syscall.SYS_OPENAT, dir, uintptr(pointer(name)), syscall.O_WRONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: name, Err: err}
	}
	defer syscall.Close(fd)
	if _, err := syscall.Write(fd, []byte(text)); err != nil {
		return &os.PathError{Op: "write", Path: name, Err: err}
	}
	return nil
}

// readNumber reads a file of the kernel that is one.
func readNumber(dir uintptr, name string) (int, error) {
	fd, err := call(syscall.SYS_OPENAT, dir, uintptr(pointer(name)), syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return 0, &os.PathError{Op: "open", Path: name, Err: err}
	}
	defer syscall.Close(fd)
	text := make([]byte, 32)
	n, err := syscall.Read(fd, text)
	if err != nil {
		return 0, &os.PathError{Op: "read", Path: name, Err: err}
	}
	for n > 0 && text[n-1] == '\n' {
		n--
	}
	return strconv.Atoi(string(text[:n]))
}
