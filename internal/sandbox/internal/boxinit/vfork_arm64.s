//go:build linux

#include "textflag.h"

// func vfork(call, flags uintptr) (pid int, errno syscall.Errno)
TEXT ·vfork(SB), NOSPLIT|NOFRAME, $0-32
	MOVD call+0(FP), R8
	MOVD flags+8(FP), R0
	MOVD $0, R1 // the same stack; where we return to is in a register
	MOVD $0, R2
	MOVD $0, R3
	MOVD $0, R4
	SVC
	CMN  $4095, R0
	BCS  failed
	MOVD R0, pid+16(FP)
	MOVD ZR, errno+24(FP)
	RET

failed:
	NEG  R0, R0
	MOVD $-1, R1
	MOVD R1, pid+16(FP)
	MOVD R0, errno+24(FP)
	RET
