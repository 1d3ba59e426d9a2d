/* tree.h - folders with all that is in them. */
#ifndef TREE_H
#define TREE_H

/* Removes name below the folder dir: follows no link, and stops at what is mounted (-EXDEV). 0 also when it is not there, else -errno. */
int tree_remove(int dir, const char *name);
/* Copies what is in the folder from into the folder to: files, folders, links, with modes, owners and times. 0 or -errno. */
int tree_copy(int from, int to);

#endif
