# A PV kernel that ends its domain with a number that the hypervisor takes, and no toolstack has a reason for (xen/include/public/sched.h).

        .set    SCHED_OP, 29
        .set    SHUTDOWN, 2
        .set    NO_REASON, 200

        .globl  _start
_start: lea     buffer(%rip), %rsi
        movl    $NO_REASON, (%rsi)
        mov     $SCHED_OP, %eax
        mov     $SHUTDOWN, %edi
        syscall
        ud2

        .balign 64
buffer: .fill   64
