/* policy.h - what every plugin must do: numbered, a sentence and a piece of advice each. Numbers never change their meaning. */
#ifndef CONFORMANCE_POLICY_H
#define CONFORMANCE_POLICY_H

/* name, number, of which interface (NULL: all), the sentence, what to do when it fails */
#define POLICIES(X) \
    X(LOAD, "KLP-GEN-01", NULL, "The file loads: note, descriptor and tables agree, and no function that an interface demands is missing.", \
      "See `keelson plugin inspect FILE`; KL_PLUGIN_DEFINE's lists must name what the tables hold (sdk/guide/scheduler.md).") \
    X(SETTINGS, "KLP-GEN-02", NULL, "Each setting has a name of its own, a place within conf_size, a fallback within its range, and a line that explains it.", \
      "Correct the row of the setting in the table given as .conf; conf_size is sizeof the struct that the rows point into.") \
    X(OPEN, "KLP-GEN-03", NULL, "open succeeds with valid settings; two instances at once share nothing, and each closes alone.", \
      "Keep all state in *self, none in variables of the file; give settings that open needs with --settings FILE.") \
    X(SURVIVE, "KLP-GEN-04", NULL, "A call with legal arguments neither crashes nor ends the process.", \
      "Texts may be NULL or empty and objects may lack any member where the header says so; check before use, and never call exit or abort.") \
    X(ERRORS, "KLP-GEN-05", NULL, "A failure is -KL_<CODE>, with the same code and a sentence without line break in the call's err.", \
      "Return with `return kl_fail(c, KL_<CODE>, \"...\")`: it sets code and text and gives the result.") \
    X(BORROWED, "KLP-GEN-06", NULL, "Arguments are only read, and bytes only to their length.", \
      "kl_bytes has no zero at its end: use .len (or kl_dup for a text of one's own), and change copies only.") \
    X(KEPT, "KLP-GEN-07", NULL, "Nothing of a call is kept: its arguments, its arena and the call itself are gone once it returns.", \
      "Copy what is needed later into memory of the instance.") \
    X(RESULTS, "KLP-GEN-08", NULL, "Results outlive the call's return: they are neither on the stack nor freed.", \
      "Allocate results with kl_alloc or kl_dup: the host frees them when the call is over.") \
    X(LONGER, "KLP-GEN-09", NULL, "A newer host's structs are longer: the plugin works as before.", \
      "Never compare size with sizeof; ask KL_HAS for members that may lack, ignore what lies behind.") \
    X(AGAIN, "KLP-GEN-10", NULL, "The same call on the same state gives the same answer.", \
      "Decide by arguments and kept state only; a call that is idempotent succeeds the second time too.") \
    X(CANCEL, "KLP-GEN-11", NULL, "A call that is cancelled returns soon.", \
      "Ask kl_cancelled(c) in every long loop and before every wait; return kl_fail(c, KL_CANCELLED, ...).") \
    X(DEADLINE, "KLP-GEN-12", NULL, "A call returns by its deadline.", \
      "Waits end at c->deadline_ns of keelson.host.env's clock (0: none); return kl_fail(c, KL_TIMEOUT, ...).") \
    X(LOOP, "KLP-GEN-13", NULL, "A call on the loop does not block.", \
      "No sleep, no wait, no disk, no lock that a worker holds for long: answer -KL_PENDING and wake the request, or use a worker interface.") \
    X(THREADS, "KLP-GEN-14", NULL, "Calls that may come many at once are safe so.", \
      "Guard what calls share with a mutex, or keep it per call; `keelson plugin inspect --calls` shows which calls these are.") \
    X(HOST_THREAD, "KLP-GEN-15", NULL, "Host functions of the loop are called on the loop only.", \
      "Call them from [loop] calls; from other threads only what host.h tags [any].") \
    X(MEMORY_OUT, "KLP-GEN-16", NULL, "Any allocation may fail: the call fails with a sentence or copes, and nothing is lost.", \
      "Check each malloc and kl_alloc for NULL, undo what was begun, return kl_fail(c, KL_NO_MEMORY, ...).") \
    X(HOST_FAILS, "KLP-GEN-17", NULL, "Any call to the host may fail: the plugin says so or copes.", \
      "Check the result of each service call and read *ret only when it is 0 or more.") \
    X(LEAK, "KLP-GEN-18", NULL, "After open, calls and close no memory is left.", \
      "Free in close what open and calls allocated; what belongs to one call goes to kl_alloc.") \
    X(LEFT, "KLP-GEN-19", NULL, "After close no descriptor, thread or process is left.", \
      "close joins the plugin's threads, closes its descriptors (O_CLOEXEC) and waits for its children.") \
    X(PROCESS, "KLP-GEN-20", NULL, "Signals, folder, umask, locale and environment of the process stay as they are.", \
      "These belong to the host: no signal, chdir, umask, setlocale, setenv in a plugin.") \
    X(RECONFIGURE, "KLP-GEN-21", NULL, "reconfigure with the same settings succeeds and uses the new copy from then on.", \
      "Take the pointer that reconfigure gives; the old settings are freed when it returns 0.") \
    X(LOG, "KLP-GEN-22", NULL, "A log line is one line.", "Give kl_log text without line breaks; the host adds what ends it.") \
    X(NEEDS, "KLP-GEN-23", NULL, "Only services that are listed as needs are asked for; without an optional one the plugin works or says what it lacks.", \
      "List the id in needs (and in the note); test what service() returns for NULL when the need is optional.") \
    X(PROBE, "KLP-GEN-24", NULL, "probe says that an instance just opened works.", "Return 0 from probe while the instance can do its work.") \
    X(SCH_SCORE, "KLP-SCH-01", "keelson.scheduler/0", "score is 0 to 1,000,000 (KL_SCORE_MOST) for any node, full and empty ones too.", \
      "Clamp the score; nodes may have no room and no capacity at all (divide with care).") \
    X(SCH_FIT, "KLP-SCH-02", "keelson.scheduler/0", "fit is KL_FIT_NO, KL_FIT_YES or KL_FIT_NEVER.", "Return a value of enum kl_fit.") \
    X(SCH_CYCLE, "KLP-SCH-03", "keelson.scheduler/0", "Cycles of two pods may be open at once, and a cycle may end without a node asked about.", \
      "Keep what belongs to a pod in *cycle, and let end free it whatever was called between.") \
    X(STO_REVISION, "KLP-STO-01", "keelson.store/0", "A new store is at revision 0; an appended commit's revision is the newest.", \
      "revision returns that of the last commit that lasts.") \
    X(STO_BACK, "KLP-STO-02", "keelson.store/0", "A commit whose revision does not grow is refused with KL_INVALID and changes nothing.", \
      "Compare commits[0].revision with the newest before anything is written.") \
    X(STO_RANGE, "KLP-STO-03", "keelson.store/0", "After a new open, range gives all that lasts, in key order, at most max at a time, with revisions.", \
      "Return records after the given key, sorted by key, until *ret_n is 0.") \
    X(STO_LASTS, "KLP-STO-04", "keelson.store/0", "What append acknowledged is there after close and open, or the store begins anew at revision 0.", \
      "Write and fdatasync before append returns 0.") \
    X(STO_STATS, "KLP-STO-05", "keelson.store/0", "stats is one JSON object.", "Write {\"name\":number,...} into the call's arena.") \
    X(ADM_TABLE, "KLP-ADM-01", "keelson.admission/0", "The table names resources and operations that exist.", \
      "resources: \"group/plural\" or \"*\", NULL at the end; operations: CREATE, UPDATE, DELETE, CONNECT with commas.") \
    X(ADM_PATCH, "KLP-ADM-02", "keelson.admission/0", "A patch is a JSON patch that applies to the object shown.", \
      "An array of {\"op\",\"path\",\"value\"} (RFC 6902); parents of an added member must exist.") \
    X(ADM_MUTATES, "KLP-ADM-03", "keelson.admission/0", "A plugin that does not mutate gives no patch.", "Set .mutates = 1, or leave ret->patch empty.") \
    X(ADM_DRY, "KLP-ADM-04", "keelson.admission/0", "With KL_CALL_DRY_RUN nothing is written.", "Skip every write when c->flags has KL_CALL_DRY_RUN.") \
    X(ADM_SETTLES, "KLP-ADM-05", "keelson.admission/0", "Shown its own result, a mutating plugin changes nothing more.", \
      "Patch only what is not as it should be already.") \
    X(AUN_NONE, "KLP-AUN-01", "keelson.authn/0", "Who shows nothing is nobody: the answer is 0, no opinion.", "Return 0 when the credentials are none of this plugin's.") \
    X(AUN_WRONG, "KLP-AUN-02", "keelson.authn/0", "Who shows a token that nobody gave out is not let in.", "Verify before anything is believed; never return 1 otherwise.") \
    X(AUN_NAME, "KLP-AUN-03", "keelson.authn/0", "A user has a name.", "Set ret->name whenever 1 is returned.") \
    X(AUZ_RESULT, "KLP-AUZ-01", "keelson.authz/0", "An answer is 1, 0 or less than 0.", "1: yes; 0: no opinion; kl_fail(c, KL_FORBIDDEN, ...): no.") \
    X(AUZ_RULES, "KLP-AUZ-02", "keelson.authz/0", "rules is JSON with resourceRules and nonResourceRules.", \
      "Write {\"resourceRules\":[...],\"nonResourceRules\":[...]}; leave the function out when rules cannot be listed.") \
    X(CTL_WATCHES, "KLP-CTL-01", "keelson.controller/0", "Watches name resources, keys are NULL, \"owner:Kind\" or \"map\", and map is there when one says so.", \
      "resource is \"group/plural\" (\"/pods\", \"apps/deployments\") or \"*\".") \
    X(CTL_GONE, "KLP-CTL-02", "keelson.controller/0", "reconcile of what is gone succeeds.", "KL_NOT_FOUND from get means: nothing to do, return 0.") \
    X(CTL_SETTLES, "KLP-CTL-03", "keelson.controller/0", "Once the world is as it should be, reconcile writes nothing.", \
      "Compare before writing; a write that changes nothing wakes the controller for ever.") \
    X(CTL_MAP, "KLP-CTL-04", "keelson.controller/0", "map gives keys with line breaks between, in the call's arena.", \
      "A key is \"ns/name\" or \"name\"; no empty lines between keys.") \
    X(CTL_TIME, "KLP-CTL-05", "keelson.controller/0", "again_ns is 0 or more.", "0: not again; else nanoseconds from now.") \
    X(RUN_ABSENT, "KLP-RUN-01", "keelson.runtime/0", "Stopping or removing what is not there is success.", "Idempotent: return 0 when it is gone already.") \
    X(RUN_UNKNOWN, "KLP-RUN-02", "keelson.runtime/0", "Work on what is not there fails with KL_NOT_FOUND.", "start, exec, attach, create in an unknown sandbox, image_status: KL_NOT_FOUND.") \
    X(RUN_JSON, "KLP-RUN-03", "keelson.runtime/0", "version, list, stats and image_list are JSON with the members of the header.", "See iface/runtime.h for the members.") \
    X(NET_ABSENT, "KLP-NET-01", "keelson.network/0", "detach without attach is success.", "Return 0 when nothing is attached under that uid.") \
    X(NET_LIST, "KLP-NET-02", "keelson.network/0", "list is JSON with pods.", "{\"pods\":[{\"uid\",\"netns\",\"ips\"}]}, empty when nothing is attached.") \
    X(PRX_OLDER, "KLP-PRX-01", "keelson.proxy/0", "A generation older than the last applied one is ignored with success.", "Compare generation first; return 0 when it is older.") \
    X(PRX_GAP, "KLP-PRX-02", "keelson.proxy/0", "update that does not follow the last generation is KL_CONFLICT.", "The caller then applies the whole state.") \
    X(NOD_ABSENT, "KLP-NOD-01", "keelson.node/0", "Asked about a pod that is not there, a node says so with KL_NOT_FOUND or KL_BAD_REQUEST.", "Look the pod up before a stream begins.") \
    X(NOD_NAME, "KLP-NOD-02", "keelson.node/0", "name is the node's name, the same each time.", "Return a text that lives as long as the instance.") \
    X(VOL_MADE, "KLP-VOL-01", "keelson.volume/0", "A volume that is made has an id of one line, at most 128 bytes, and the capacity that was asked for.", \
      "Set ret->id with kl_dup, and ret->bytes to what it really has (0: what was asked for).") \
    X(VOL_SAME, "KLP-VOL-02", "keelson.volume/0", "The same name again is the same volume: same id, same capacity.", \
      "Look the name up before anything is made: a host that was cut off asks again.") \
    X(VOL_OTHER, "KLP-VOL-03", "keelson.volume/0", "A name that a volume of another capacity has is refused with KL_ALREADY_EXISTS.", \
      "Compare spec->bytes and bytes_most with what the volume of that name has.") \
    X(VOL_WISH, "KLP-VOL-04", "keelson.volume/0", "A parameter that nobody knows is refused with KL_INVALID.", \
      "Walk spec->parameters and refuse what is not among yours: a typing error in a StorageClass is told so.") \
    X(VOL_UNKNOWN, "KLP-VOL-05", "keelson.volume/0", "publish and expand of what is not there fail with KL_NOT_FOUND.", "Look the volume up first; never make one outside of create.") \
    X(VOL_ABSENT, "KLP-VOL-06", "keelson.volume/0", "remove and unpublish of what is not there is success.", "Idempotent: return 0 when it is gone already.") \
    X(VOL_PUBLISH, "KLP-VOL-07", "keelson.volume/0", "publish gives a folder of this node, and the second time the same.", \
      "Mount on v->target unless something is mounted there already, or set *ret_path to an absolute path.") \
    X(VOL_KEPT, "KLP-VOL-08", "keelson.volume/0", "What was written outlives unpublish and a new instance; unpublish leaves nothing on the target.", \
      "Keep volumes where a restart finds them, and unmount v->target.") \
    X(VOL_GONE, "KLP-VOL-09", "keelson.volume/0", "What was removed is gone: a volume of the same name begins empty.", "remove takes the content too.") \
    X(VOL_EXPAND, "KLP-VOL-10", "keelson.volume/0", "expand makes a volume at least as large as asked, and never smaller.", "What has as much already is success; *ret_bytes is what it has then.") \
    X(VOL_PATHS, "KLP-VOL-11", "keelson.volume/0", "An id that is a path reaches nothing but volumes.", \
      "Ids may come from PersistentVolumes that users wrote: take only those that create could have given.") \
    X(LAY_TABLE, "KLP-LAY-01", "keelson.layer/0", "What wrap gives has a table, a close, and the functions that the inner table has: no more, no less.", \
      "Copy the inner table and its size, replace the functions that are there, leave those that are NULL.") \
    X(LAY_ON, "KLP-LAY-02", "keelson.layer/0", "A call of a wrapped instance reaches the inner one, unless the layer is there to keep it away.", \
      "Call on with the inner self and all arguments, and return what it returned.") \
    X(AUD_COPY, "KLP-AUD-01", "keelson.audit/0", "write takes any number of lines, none too.", "Copy what is given; n 0 and empty lines are success.")

enum policy {
#define KL_X(name, ...) P_##name,
    POLICIES(KL_X)
#undef KL_X
    P_END
};

struct policy_row {
    const char *number, *iface, *sentence, *advice;
};

const struct policy_row *policy_row(unsigned p);
/* P_END: no such number. */
unsigned policy_find(const char *number);

#endif
