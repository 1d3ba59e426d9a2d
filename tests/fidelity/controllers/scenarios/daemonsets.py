"""DaemonSets: which nodes, updates, surge, OnDelete, taints, failures."""
from scenarios.make import daemonset

SURGE = {'type': 'RollingUpdate', 'rollingUpdate': {'maxSurge': 1, 'maxUnavailable': 0}}


def selector(s):
    """Every server has nodes of other scenarios: only ours count."""
    return {'nodeSelector': {'of': s.ns}}


def nodes(s, n=3):
    return s.nodes(n, labels={'of': s.ns})


def ds_update(s):
    nodes(s)
    s.step('nodes')
    s.create(daemonset('agent', pod=selector(s)))
    s.step('created')
    s.image('daemonsets', 'agent', 'app:2')
    s.step('second template')
    s.image('daemonsets', 'agent', 'bad:3')
    s.step('bad')
    s.image('daemonsets', 'agent', 'app:2')
    s.step('back')
    s.patch('daemonsets', 'agent', {'spec': {'updateStrategy': {'rollingUpdate': {'maxUnavailable': '100%'}}}})
    s.image('daemonsets', 'agent', 'app:4')
    s.step('all at once')


def ds_surge(s):
    nodes(s)
    s.create(daemonset('agent', pod=selector(s), updateStrategy=SURGE, minReadySeconds=2))
    s.step('created', quiet=4)
    s.image('daemonsets', 'agent', 'app:2')
    s.step('second template', quiet=4)
    s.image('daemonsets', 'agent', 'bad:3')
    s.step('bad', quiet=4)
    s.image('daemonsets', 'agent', 'app:4')
    s.step('good', quiet=4)


def ds_on_delete(s):
    nodes(s, 2)
    s.create(daemonset('agent', pod=selector(s), updateStrategy={'type': 'OnDelete'}))
    s.step('created')
    s.image('daemonsets', 'agent', 'app:2')
    s.step('nothing')
    s.delete('pods', s.pods()[0]['metadata']['name'])
    s.step('one')
    s.patch('daemonsets', 'agent', {'spec': {'updateStrategy': {'type': 'RollingUpdate'}}})
    s.step('the other')


def ds_nodes(s):
    nodes(s, 2)
    s.create(daemonset('agent', pod=selector(s)))
    s.step('created')
    s.node(2, labels={'of': s.ns})
    s.step('a node more')
    s.patch('nodes', s.ns + '-n1', {'metadata': {'labels': {'of': None}}})
    s.step('a node no longer selected')
    s.patch('nodes', s.ns + '-n0', {'spec': {'taints': [{'key': 'no', 'value': 'x', 'effect': 'NoSchedule'}]}})
    s.step('a taint that keeps new ones away')
    s.patch('nodes', s.ns + '-n2', {'spec': {'unschedulable': True}})
    s.step('cordoned')
    s.c.call('DELETE', '/api/v1/nodes/' + s.ns + '-n2')
    s.step('a node has gone', quiet=3)


def ds_failures(s):
    nodes(s, 2)
    s.create(daemonset('agent', pod=selector(s)))
    s.step('created')
    s.finish(s.pods()[0], 1)
    s.step('failed: made anew', quiet=3)
    s.finish(s.pods()[-1], 0)
    s.step('succeeded: made anew', quiet=3)
    s.delete('daemonsets', 'agent', 'Foreground')
    s.step('deleted', quiet=3)


def ds_orphan(s):
    nodes(s, 2)
    s.create(daemonset('agent', pod=selector(s)))
    s.step('created')
    s.delete('daemonsets', 'agent', 'Orphan')
    s.step('orphaned', quiet=3)
    s.create(daemonset('agent', pod=selector(s)))
    s.step('adopted', quiet=3)
    s.patch('daemonsets', 'agent', {'spec': {'revisionHistoryLimit': 0}})
    s.image('daemonsets', 'agent', 'app:2')
    s.step('no history', quiet=3)


SCENARIOS = [ds_update, ds_surge, ds_on_delete, ds_nodes, ds_failures, ds_orphan]
