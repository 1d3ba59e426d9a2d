/* holder.c - PID 1 of a pod whose containers share one PID namespace: it reaps and waits to be killed. Freestanding, so
 * that it costs one page; the plugin carries it as bytes (holder.S) and runs it from memory. x86-64, arm64, riscv64.
 */
#include <asm/unistd.h>

#if defined(__x86_64__)
static long call(long n, long a, long b, long c, long d)
{
    long ret;
    register long r10 __asm__("r10") = d;
    __asm__ volatile("syscall" : "=a"(ret) : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10) : "rcx", "r11", "memory");
    return ret;
}
#elif defined(__aarch64__)
static long call(long n, long a, long b, long c, long d)
{
    register long x8 __asm__("x8") = n, x0 __asm__("x0") = a, x1 __asm__("x1") = b, x2 __asm__("x2") = c, x3 __asm__("x3") = d;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
    return x0;
}
#elif defined(__riscv)
static long call(long n, long a, long b, long c, long d)
{
    register long a7 __asm__("a7") = n, a0 __asm__("a0") = a, a1 __asm__("a1") = b, a2 __asm__("a2") = c, a3 __asm__("a3") = d;
    __asm__ volatile("ecall" : "+r"(a0) : "r"(a7), "r"(a1), "r"(a2), "r"(a3) : "memory");
    return a0;
}
#endif

void _start(void);
__attribute__((noreturn)) void _start(void)
{
    struct {
        long sec, nsec;
    } nap = { 1, 0 };
    for (;;)                            /* PID 1 ignores every signal without a handler except SIGKILL from outside */
        if (call(__NR_wait4, -1, 0, 0, 0) < 0)
            call(__NR_nanosleep, (long)&nap, 0, 0, 0);
}
