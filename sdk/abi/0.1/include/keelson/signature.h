/* signature.h - the signature tables of the interfaces: what every call and every struct that crosses is made of.
 *
 * Each header in iface/, and host.h, ends with lists in macros: KL_<TABLE>_CALLS for a table's functions, KL_<TABLE>_DATA for its other
 * members, KL_<STRUCT>_MEMBERS for a struct. They are read twice:
 *   - as data: KL_SIG_STRUCT and KL_SIG_TABLE make struct kl_sig_struct and struct kl_sig_table, for what works on any call by its
 *     description (the layout's golden file, `keelson plugin inspect`, a remote call, a record);
 *   - as code: KL_SIG_PARAMS, KL_SIG_NAMES and KL_SIG_POINTERS write functions of the same C type as a table's, so that a layer, a proxy or
 *     a mock is one macro around one function.
 *
 *   F(name, result, thread, flags, ARGUMENT...)   a call; behind its first parameter, which is `void *self` (host services: the host)
 *   (kind, name, of)                              an argument or a member; of: the struct's name for kinds of structs, else _
 *   (NONE, _, _)                                  for a call without arguments
 *
 * The length of an array is, in a call, the argument behind it; in a struct the member before it.
 */
#ifndef KEELSON_SIGNATURE_H
#define KEELSON_SIGNATURE_H

#include "plugin.h"

/* X(kind): OUT_ kinds are pointers to where the result goes; what they point to lives in the call's arena. */
#define KL_SIG_KINDS(X) \
    X(CALL)        /* struct kl_call: deadline, cancellation, user, error */ \
    X(HANDLE)      /* the other side's own: only handed back */ \
    X(TABLE)       /* another instance's table */ \
    X(I32) X(U32) X(I64) X(U64) X(SIZE) \
    X(FD)          /* a descriptor, or -1 */ \
    X(STR)         /* text; may be NULL where the header says so */ \
    X(STRS)        /* texts, NULL-terminated */ \
    X(BYTES) \
    X(BYTES_LIST)  /* an array of struct kl_bytes */ \
    X(STRUCT)      /* begins with its size; may be NULL where the header says so */ \
    X(STRUCTS)     /* an array of them */ \
    X(ARRAY)       /* KL_ARRAY of structs, by stride */ \
    X(OUT_HANDLE) X(OUT_I32) X(OUT_U32) X(OUT_I64) X(OUT_FD) X(OUT_STR) X(OUT_STRS) X(OUT_BYTES) \
    X(OUT_MEMORY)  /* the caller's memory, SIZE bytes */ \
    X(OUT_STRUCT) X(OUT_STRUCTS)

enum kl_sig_kind {
    KL_SIG_NONE = 0,
#define KL_X(kind) KL_SIG_##kind,
    KL_SIG_KINDS(KL_X)
#undef KL_X
    KL_SIG_KIND_END
};

/* INT: 0 or more, or -KL_<CODE> with the reason in the call. */
enum kl_sig_result { KL_SIG_R_VOID = 1, KL_SIG_R_INT, KL_SIG_R_U64, KL_SIG_R_I64, KL_SIG_R_STR, KL_SIG_R_TABLE };

/* LOOP: the loop, must not block. WORKER: may block. EITHER: as the table's flags say. ANY: any thread, many at once. */
enum kl_sig_thread { KL_SIG_LOOP = 1, KL_SIG_WORKER, KL_SIG_EITHER, KL_SIG_ANY };

#define KL_SIG_OPTIONAL  1u             /* the function may be NULL */
#define KL_SIG_MANY      2u             /* several calls of one instance at once */
#define KL_SIG_STREAMING 4u             /* lasts as long as what it carries */
#define KL_SIG_OUT_ALWAYS 8u            /* what OUT arguments point to is told also when it fails */

struct kl_sig_struct;

struct kl_sig_item {                    /* a member or an argument */
    const char *name;
    uint32_t kind;                      /* enum kl_sig_kind */
    uint32_t offset, bytes;             /* of a member */
    const struct kl_sig_struct *of;     /* of kinds of structs, else NULL */
};

struct kl_sig_struct {
    const char *name;
    uint32_t bytes, n;
    const struct kl_sig_item *members;  /* behind `size`, in their order */
};

struct kl_sig_call {
    const char *name;
    uint32_t offset;                    /* of the pointer in the table */
    uint32_t result, thread, flags, n;
    const struct kl_sig_item *arguments;
};

struct kl_sig_table {
    const char *id, *name;              /* "keelson.scheduler/0", "kl_scheduler" */
    uint32_t bytes, n_data, n_calls;
    const struct kl_sig_item *data;
    const struct kl_sig_call *calls;
};

/* --- lists --- */

#define KL_SIG_CAT_(a, b) a##b
#define KL_SIG_CAT(a, b)  KL_SIG_CAT_(a, b)
#define KL_SIG_N_(_1, _2, _3, _4, _5, _6, _7, _8, n, ...) n
#define KL_SIG_N(...)     KL_SIG_N_(__VA_ARGS__, 8, 7, 6, 5, 4, 3, 2, 1, 0)
#define KL_SIG_EACH(M, ...) KL_SIG_CAT(KL_SIG_EACH_, KL_SIG_N(__VA_ARGS__))(M, __VA_ARGS__)
#define KL_SIG_EACH_1(M, a) M a
#define KL_SIG_EACH_2(M, a, ...) M a KL_SIG_EACH_1(M, __VA_ARGS__)
#define KL_SIG_EACH_3(M, a, ...) M a KL_SIG_EACH_2(M, __VA_ARGS__)
#define KL_SIG_EACH_4(M, a, ...) M a KL_SIG_EACH_3(M, __VA_ARGS__)
#define KL_SIG_EACH_5(M, a, ...) M a KL_SIG_EACH_4(M, __VA_ARGS__)
#define KL_SIG_EACH_6(M, a, ...) M a KL_SIG_EACH_5(M, __VA_ARGS__)
#define KL_SIG_EACH_7(M, a, ...) M a KL_SIG_EACH_6(M, __VA_ARGS__)
#define KL_SIG_EACH_8(M, a, ...) M a KL_SIG_EACH_7(M, __VA_ARGS__)

/* 1 for NONE, 0 for every other kind. */
#define KL_SIG_PROBE_NONE ~, 1
#define KL_SIG_SECOND(a, b, ...) b
#define KL_SIG_SECOND_(...) KL_SIG_SECOND(__VA_ARGS__, _)
#define KL_SIG_IS_NONE(kind) KL_SIG_SECOND_(KL_SIG_PROBE_##kind, 0)

/* --- as code --- */

#define KL_SIG_T_CALL(of)        struct kl_call *
#define KL_SIG_T_HANDLE(of)      void *
#define KL_SIG_T_TABLE(of)       const void *
#define KL_SIG_T_I32(of)         int32_t
#define KL_SIG_T_U32(of)         uint32_t
#define KL_SIG_T_I64(of)         int64_t
#define KL_SIG_T_U64(of)         uint64_t
#define KL_SIG_T_SIZE(of)        size_t
#define KL_SIG_T_FD(of)          int32_t
#define KL_SIG_T_STR(of)         const char *
#define KL_SIG_T_STRS(of)        const char *const *
#define KL_SIG_T_BYTES(of)       struct kl_bytes
#define KL_SIG_T_BYTES_LIST(of)  const struct kl_bytes *
#define KL_SIG_T_STRUCT(of)      const struct of *
#define KL_SIG_T_STRUCTS(of)     const struct of *
#define KL_SIG_T_OUT_HANDLE(of)  void **
#define KL_SIG_T_OUT_I32(of)     int32_t *
#define KL_SIG_T_OUT_U32(of)     uint32_t *
#define KL_SIG_T_OUT_I64(of)     int64_t *
#define KL_SIG_T_OUT_FD(of)      int32_t *
#define KL_SIG_T_OUT_STR(of)     const char **
#define KL_SIG_T_OUT_STRS(of)    const char *const **
#define KL_SIG_T_OUT_BYTES(of)   struct kl_bytes *
#define KL_SIG_T_OUT_MEMORY(of)  void *
#define KL_SIG_T_OUT_STRUCT(of)  struct of *
#define KL_SIG_T_OUT_STRUCTS(of) const struct of **

#define KL_SIG_RT_VOID  void
#define KL_SIG_RT_INT   int
#define KL_SIG_RT_U64   uint64_t
#define KL_SIG_RT_I64   int64_t
#define KL_SIG_RT_STR   const char *
#define KL_SIG_RT_TABLE const void *

/* ", type name" of each argument: what stands behind the first parameter. */
#define KL_SIG_PARAMS(...) KL_SIG_EACH(KL_SIG_PARAM, __VA_ARGS__)
#define KL_SIG_PARAM(kind, name, of) KL_SIG_CAT(KL_SIG_PARAM_, KL_SIG_IS_NONE(kind))(kind, name, of)
#define KL_SIG_PARAM_0(kind, name, of) , KL_SIG_T_##kind(of) name
#define KL_SIG_PARAM_1(kind, name, of)

/* ", name" of each argument: to call on. */
#define KL_SIG_NAMES(...) KL_SIG_EACH(KL_SIG_NAME, __VA_ARGS__)
#define KL_SIG_NAME(kind, name, of) KL_SIG_CAT(KL_SIG_NAME_, KL_SIG_IS_NONE(kind))(name)
#define KL_SIG_NAME_0(name) , name
#define KL_SIG_NAME_1(name)

/* "&name," of each argument: an array of pointers to arguments, whose types the call's description tells. */
#define KL_SIG_POINTERS(...) KL_SIG_EACH(KL_SIG_POINTER, __VA_ARGS__)
#define KL_SIG_POINTER(kind, name, of) KL_SIG_CAT(KL_SIG_POINTER_, KL_SIG_IS_NONE(kind))(name)
#define KL_SIG_POINTER_0(name) &name,
#define KL_SIG_POINTER_1(name)

/* --- as data (C only) --- */

#define KL_SIG_OF_STRUCT(of)      &kl_sig_##of
#define KL_SIG_OF_STRUCTS(of)     &kl_sig_##of
#define KL_SIG_OF_ARRAY(of)       &kl_sig_##of
#define KL_SIG_OF_OUT_STRUCT(of)  &kl_sig_##of
#define KL_SIG_OF_OUT_STRUCTS(of) &kl_sig_##of
#define KL_SIG_OF_CALL(of)        NULL
#define KL_SIG_OF_HANDLE(of)      NULL
#define KL_SIG_OF_TABLE(of)       NULL
#define KL_SIG_OF_I32(of)         NULL
#define KL_SIG_OF_U32(of)         NULL
#define KL_SIG_OF_I64(of)         NULL
#define KL_SIG_OF_U64(of)         NULL
#define KL_SIG_OF_SIZE(of)        NULL
#define KL_SIG_OF_FD(of)          NULL
#define KL_SIG_OF_STR(of)         NULL
#define KL_SIG_OF_STRS(of)        NULL
#define KL_SIG_OF_BYTES(of)       NULL
#define KL_SIG_OF_BYTES_LIST(of)  NULL
#define KL_SIG_OF_OUT_HANDLE(of)  NULL
#define KL_SIG_OF_OUT_I32(of)     NULL
#define KL_SIG_OF_OUT_U32(of)     NULL
#define KL_SIG_OF_OUT_I64(of)     NULL
#define KL_SIG_OF_OUT_FD(of)      NULL
#define KL_SIG_OF_OUT_STR(of)     NULL
#define KL_SIG_OF_OUT_STRS(of)    NULL
#define KL_SIG_OF_OUT_BYTES(of)   NULL
#define KL_SIG_OF_OUT_MEMORY(of)  NULL

#define KL_SIG_ARGUMENT(kind, name, of) KL_SIG_CAT(KL_SIG_ARGUMENT_, KL_SIG_IS_NONE(kind))(kind, name, of)
#define KL_SIG_ARGUMENT_0(kind, name, of) { #name, KL_SIG_##kind, 0, 0, KL_SIG_OF_##kind(of) },
#define KL_SIG_ARGUMENT_1(kind, name, of)
#define KL_SIG_ITEM_END { NULL, 0, 0, 0, NULL }

#define KL_SIG_MEMBER(S, kind, name, of) \
    { #name, KL_SIG_##kind, (uint32_t)offsetof(S, name), (uint32_t)sizeof(((S *)0)->name), KL_SIG_OF_##kind(of) },

/* static const struct kl_sig_struct kl_sig_<S>, by M(S, kind, name, of)... in MEMBERS. Structs that it is made of come first. */
#define KL_SIG_STRUCT(S, MEMBERS) \
    static const struct kl_sig_item kl_sig_members_##S[] = { MEMBERS(KL_SIG_MEMBER, struct S) KL_SIG_ITEM_END }; \
    static const struct kl_sig_struct kl_sig_##S = { #S, (uint32_t)sizeof(struct S), \
                                                     (uint32_t)(sizeof kl_sig_members_##S / sizeof *kl_sig_members_##S) - 1, kl_sig_members_##S }

#define KL_SIG_CALL_ROW(S, name, result, thread, flags, ...) \
    { #name, (uint32_t)offsetof(S, name), KL_SIG_R_##result, KL_SIG_##thread, flags, \
      (uint32_t)(sizeof((const struct kl_sig_item[]){ KL_SIG_EACH(KL_SIG_ARGUMENT, __VA_ARGS__) KL_SIG_ITEM_END }) / sizeof(struct kl_sig_item)) - 1, \
      (const struct kl_sig_item[]){ KL_SIG_EACH(KL_SIG_ARGUMENT, __VA_ARGS__) KL_SIG_ITEM_END } },

/* static const struct kl_sig_table kl_sig_<T>. */
#define KL_SIG_TABLE(T, ID, DATA, CALLS) \
    static const struct kl_sig_item kl_sig_data_##T[] = { DATA(KL_SIG_MEMBER, struct T) KL_SIG_ITEM_END }; \
    static const struct kl_sig_call kl_sig_calls_##T[] = { CALLS(KL_SIG_CALL_ROW, struct T) }; \
    static const struct kl_sig_table kl_sig_##T = { ID, #T, (uint32_t)sizeof(struct T), \
                                                    (uint32_t)(sizeof kl_sig_data_##T / sizeof *kl_sig_data_##T) - 1, \
                                                    (uint32_t)(sizeof kl_sig_calls_##T / sizeof *kl_sig_calls_##T), kl_sig_data_##T, kl_sig_calls_##T }

/* For tables of functions only. */
#define KL_SIG_NO_DATA(M, S)

#endif
