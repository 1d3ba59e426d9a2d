/* list.h - intrusive doubly linked ring. The head is a struct list too. */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *next, *prev;
};

#define LIST_INIT(l) { &(l), &(l) }
#define list_item(node, type, member) ((type *)(void *)((char *)(node) - offsetof(type, member)))
/* The body may remove the present item. */
#define list_each(node, head) \
    for (struct list *node = (head)->next, *node##_next = node->next; node != (head); \
         node = node##_next, node##_next = node->next)

static inline void list_init(struct list *l)
{
    l->next = l->prev = l;
}

static inline bool list_empty(const struct list *l)
{
    return l->next == l;
}

static inline void list_add_before(struct list *at, struct list *n)
{
    n->next = at;
    n->prev = at->prev;
    at->prev->next = n;
    at->prev = n;
}

static inline void list_push(struct list *head, struct list *n)      /* at the end */
{
    list_add_before(head, n);
}

static inline void list_push_front(struct list *head, struct list *n)
{
    list_add_before(head->next, n);
}

/* Leaves n as an empty ring: removing twice is fine. */
static inline void list_remove(struct list *n)
{
    n->prev->next = n->next;
    n->next->prev = n->prev;
    list_init(n);
}

static inline struct list *list_pop(struct list *head)               /* the first, or NULL */
{
    struct list *n = head->next;
    if (n == head)
        return NULL;
    list_remove(n);
    return n;
}

#endif
