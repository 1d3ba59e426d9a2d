/* filter.c - the system calls of a sandboxed plugin, as a seccomp filter: what is listed is allowed, some calls end the process (nobody makes them by
 * chance), all others fail with EPERM. Threads may be made, processes may not.
 */
#include "sandbox.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#else
#define ARCH AUDIT_ARCH_AARCH64
#endif

static const int allowed[] = {
    SYS_read, SYS_write, SYS_readv, SYS_writev, SYS_pread64, SYS_pwrite64, SYS_preadv, SYS_pwritev, SYS_lseek, SYS_close, SYS_close_range,
    SYS_openat, SYS_openat2, SYS_newfstatat, SYS_fstat, SYS_statx, SYS_statfs, SYS_fstatfs, SYS_faccessat, SYS_faccessat2, SYS_readlinkat,
    SYS_getdents64, SYS_getcwd, SYS_fcntl, SYS_flock, SYS_ftruncate, SYS_fallocate, SYS_fsync, SYS_fdatasync, SYS_dup, SYS_dup3, SYS_pipe2,
    SYS_renameat, SYS_renameat2, SYS_unlinkat, SYS_mkdirat, SYS_utimensat, SYS_fadvise64,
    SYS_mmap, SYS_munmap, SYS_mprotect, SYS_mremap, SYS_madvise, SYS_brk, SYS_msync, SYS_mlock, SYS_munlock, SYS_membarrier, SYS_memfd_create,
    SYS_futex, SYS_set_robust_list, SYS_get_robust_list, SYS_rseq, SYS_set_tid_address, SYS_gettid, SYS_getpid, SYS_getppid, SYS_getuid, SYS_geteuid,
    SYS_getgid, SYS_getegid, SYS_getgroups, SYS_uname, SYS_sysinfo, SYS_getrusage, SYS_times, SYS_prlimit64, SYS_prctl, SYS_getrandom,
    SYS_sched_yield, SYS_sched_getaffinity, SYS_sched_getparam, SYS_sched_getscheduler, SYS_getpriority, SYS_getcpu,
    SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_rt_sigreturn, SYS_rt_sigpending, SYS_rt_sigtimedwait, SYS_rt_sigsuspend, SYS_sigaltstack,
    SYS_tgkill, SYS_tkill, SYS_kill, SYS_restart_syscall,
    SYS_nanosleep, SYS_clock_nanosleep, SYS_clock_gettime, SYS_clock_getres, SYS_gettimeofday, SYS_timer_create, SYS_timer_settime,
    SYS_timer_delete, SYS_timer_gettime, SYS_timerfd_create, SYS_timerfd_settime, SYS_timerfd_gettime, SYS_setitimer, SYS_getitimer,
    SYS_ppoll, SYS_pselect6, SYS_epoll_create1, SYS_epoll_ctl, SYS_epoll_pwait, SYS_eventfd2, SYS_signalfd4, SYS_inotify_init1,
    SYS_inotify_add_watch, SYS_inotify_rm_watch,
    SYS_sendmsg, SYS_recvmsg, SYS_sendto, SYS_recvfrom, SYS_shutdown, SYS_getsockopt, SYS_getsockname, SYS_getpeername,
    SYS_exit, SYS_exit_group, SYS_umask, SYS_fchmod, SYS_fchmodat,
#if defined(__x86_64__)
    SYS_open, SYS_stat, SYS_lstat, SYS_access, SYS_readlink, SYS_getdents, SYS_poll, SYS_select, SYS_epoll_create, SYS_epoll_wait, SYS_pipe, SYS_dup2,
    SYS_rename, SYS_unlink, SYS_mkdir, SYS_rmdir, SYS_arch_prctl, SYS_time, SYS_alarm, SYS_pause, SYS_eventfd, SYS_getpgrp,
#endif
};

/* With `network`. */
static const int network_calls[] = { SYS_socket, SYS_socketpair, SYS_connect, SYS_bind, SYS_listen, SYS_accept, SYS_accept4, SYS_setsockopt,
                                     SYS_sendmmsg, SYS_recvmmsg };

/* Whoever makes these means harm, or is a plugin that must not be sandboxed: its end says so at once. */
static const int deadly[] = {
    SYS_execve, SYS_execveat, SYS_ptrace, SYS_process_vm_readv, SYS_process_vm_writev, SYS_mount, SYS_umount2, SYS_pivot_root, SYS_chroot, SYS_bpf,
    SYS_init_module, SYS_finit_module, SYS_delete_module, SYS_kexec_load, SYS_keyctl, SYS_add_key, SYS_request_key, SYS_perf_event_open,
    SYS_reboot, SYS_swapon, SYS_swapoff, SYS_unshare, SYS_setns, SYS_userfaultfd, SYS_pidfd_getfd, SYS_io_uring_setup,
#if defined(__x86_64__)
    SYS_fork, SYS_vfork, SYS_iopl, SYS_ioperm,
#endif
};

struct program {
    struct sock_filter at[2 * (sizeof allowed + sizeof network_calls + sizeof deadly) / sizeof(int) + 32];
    unsigned short n;
};

static void add(struct program *p, unsigned short code, uint8_t jt, uint8_t jf, uint32_t k)
{
    p->at[p->n++] = (struct sock_filter){ code, jt, jf, k };
}

static void load(struct program *p, size_t offset)
{
    add(p, BPF_LD | BPF_W | BPF_ABS, 0, 0, (uint32_t)offset);
}

static void ret(struct program *p, uint32_t what)
{
    add(p, BPF_RET | BPF_K, 0, 0, what);
}

/* number == nr: the verdict. */
static void when(struct program *p, int nr, uint32_t verdict)
{
    add(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, (uint32_t)nr);
    ret(p, verdict);
}

static void make(struct program *p, bool network)
{
    load(p, offsetof(struct seccomp_data, arch));
    add(p, BPF_JMP | BPF_JEQ | BPF_K, 1, 0, ARCH);
    ret(p, SECCOMP_RET_KILL_PROCESS);
    load(p, offsetof(struct seccomp_data, nr));
#if defined(__x86_64__)
    add(p, BPF_JMP | BPF_JGE | BPF_K, 0, 1, 0x40000000);        /* the other calling convention (x32) */
    ret(p, SECCOMP_RET_KILL_PROCESS);
#endif
    for (size_t i = 0; i < sizeof allowed / sizeof *allowed; i++)
        when(p, allowed[i], SECCOMP_RET_ALLOW);
    for (size_t i = 0; network && i < sizeof network_calls / sizeof *network_calls; i++)
        when(p, network_calls[i], SECCOMP_RET_ALLOW);
    for (size_t i = 0; i < sizeof deadly / sizeof *deadly; i++)
        when(p, deadly[i], SECCOMP_RET_KILL_PROCESS);
    when(p, SYS_clone3, SECCOMP_RET_ERRNO | ENOSYS);            /* its flags cannot be seen: libc falls back to clone */
    add(p, BPF_JMP | BPF_JEQ | BPF_K, 1, 0, SYS_clone);
    ret(p, SECCOMP_RET_ERRNO | EPERM);
    load(p, offsetof(struct seccomp_data, args[0]));
    add(p, BPF_JMP | BPF_JSET | BPF_K, 0, 1, CLONE_THREAD);
    ret(p, SECCOMP_RET_ALLOW);
    ret(p, SECCOMP_RET_KILL_PROCESS);
}

int sandbox_filter(bool network, char *why, size_t room)
{
    static struct program p;
    make(&p, network);
    struct sock_fprog prog = { p.n, p.at };
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog) == 0)
        return 0;
    snprintf(why, room, "the filter of system calls is refused: %s", strerror(errno));
    return -1;
}
