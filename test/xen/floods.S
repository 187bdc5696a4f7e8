# A PV kernel that asks the hypervisor for more than a domain's share: event channels, frames of its grant table, maps of another's pages.
# It powers itself off where each was refused at its bound, and crashes where one was not (xen/include/public).
# Calls are by syscall: number in rax, arguments in rdi, rsi and rdx; rcx and r11 are lost.

        .set    GRANT_TABLE_OP, 20
        .set    SCHED_OP, 29
        .set    EVENT_CHANNEL_OP, 32

        .set    ALLOC_UNBOUND, 6
        .set    CHANNELS_MAX, 255
        .set    CHANNELS_MIN, 200

        .set    MAP_GRANT_REF, 0
        .set    SETUP_TABLE, 2
        .set    FRAMES_MAX, 64
        .set    MAPS_TRIED, 20000
        .set    NO_SPACE, -13

        .set    SHUTDOWN, 2
        .set    POWEROFF, 0
        .set    CRASH, 3

        .set    DOMID_SELF, 0x7ff0

        .globl  _start
_start: lea     buffer(%rip), %r12

        # as many event channels as there are
        xor     %ebx, %ebx
        movl    $DOMID_SELF, (%r12)
channel:
        mov     $EVENT_CHANNEL_OP, %eax
        mov     $ALLOC_UNBOUND, %edi
        mov     %r12, %rsi
        syscall
        test    %rax, %rax
        jnz     channels_end
        inc     %ebx
        cmp     $100000, %ebx
        jb      channel
channels_end:
        cmp     $CHANNELS_MAX, %ebx
        jae     crash
        cmp     $CHANNELS_MIN, %ebx
        jb      crash

        # all frames of its grant table, and one more
        mov     $FRAMES_MAX, %ebx
        call    setup_table
        jnz     crash
        inc     %ebx
        call    setup_table
        jz      crash

        # maps of the control domain's pages, each refused for the same reason: there is no room to keep track of one
        mov     $MAPS_TRIED, %ebx
map:    movq    $0x10000000, (%r12)     # where
        movl    $2, 8(%r12)             # GNTMAP_host_map
        movl    $8, 12(%r12)            # which reference
        movl    $0, 16(%r12)            # of domain 0; the status comes behind it
        mov     $GRANT_TABLE_OP, %eax
        mov     $MAP_GRANT_REF, %edi
        mov     %r12, %rsi
        mov     $1, %edx
        syscall
        test    %rax, %rax
        jnz     crash
        cmpw    $NO_SPACE, 18(%r12)
        jne     crash
        dec     %ebx
        jnz     map

        mov     $POWEROFF, %ebx
        jmp     end
crash:  mov     $CRASH, %ebx
end:    mov     %ebx, (%r12)
        mov     $SCHED_OP, %eax
        mov     $SHUTDOWN, %edi
        mov     %r12, %rsi
        syscall
        ud2

# so many frames as ebx says; zero where the table has them
setup_table:
        movl    $DOMID_SELF, (%r12)
        mov     %ebx, 4(%r12)
        movl    $1, 8(%r12)             # the status
        lea     64(%r12), %rax
        mov     %rax, 16(%r12)          # where the frames' numbers go
        mov     $GRANT_TABLE_OP, %eax
        mov     $SETUP_TABLE, %edi
        mov     %r12, %rsi
        mov     $1, %edx
        syscall
        cmpw    $0, 8(%r12)
        ret

        .balign 64
buffer: .fill   1024
