"""Deployments: rollouts, scaling, pause, undo, deadlines, Recreate, history, adoption, deletion."""
from scenarios.make import deployment, pod, replicaset

ONE_UP = {'strategy': {'type': 'RollingUpdate', 'rollingUpdate': {'maxSurge': 1, 'maxUnavailable': 0}}}
ONE_DOWN = {'strategy': {'type': 'RollingUpdate', 'rollingUpdate': {'maxSurge': 0, 'maxUnavailable': 1}}}


def deploy_rolling(s):
    s.create(deployment('web', 4))
    s.step('created')
    s.image('deployments', 'web', 'app:2')
    s.step('second template')
    s.scale('deployments', 'web', 6)
    s.step('scaled up')
    s.scale('deployments', 'web', 2)
    s.step('scaled down')
    s.image('deployments', 'web', 'app:1')
    s.step('first template again')
    s.scale('deployments', 'web', 0)
    s.step('to zero')
    s.image('deployments', 'web', 'app:3')
    s.step('third template at zero')
    s.scale('deployments', 'web', 1)
    s.step('to one')


def deploy_one_up(s):
    s.create(deployment('web', 3, **ONE_UP))
    s.step('created')
    s.image('deployments', 'web', 'app:2')
    s.step('second template')
    s.patch('deployments', 'web', {'metadata': {'annotations': {'kubernetes.io/change-cause': 'because'}}})
    s.step('cause')
    s.image('deployments', 'web', 'app:3')
    s.step('third template')
    s.patch('deployments', 'web', {'spec': {'revisionHistoryLimit': 1}})
    s.step('history of one')
    s.patch('deployments', 'web', {'spec': {'revisionHistoryLimit': 0}})
    s.step('no history')


def deploy_one_down(s):
    s.create(deployment('web', 3, **ONE_DOWN))
    s.step('created')
    s.image('deployments', 'web', 'app:2')
    s.step('second template')
    s.image('deployments', 'web', 'bad:3')
    s.step('third template is bad')
    s.image('deployments', 'web', 'hang:4')
    s.step('fourth hangs')
    s.image('deployments', 'web', 'app:2')
    s.step('back')


def deploy_pause(s):
    s.create(deployment('web', 3, paused=True))
    s.step('created paused')
    s.patch('deployments', 'web', {'spec': {'paused': False}})
    s.step('resumed')
    s.patch('deployments', 'web', {'spec': {'paused': True}})
    s.step('paused')
    s.image('deployments', 'web', 'app:2')
    s.step('template while paused')
    s.scale('deployments', 'web', 5)
    s.step('scaled while paused')
    s.patch('deployments', 'web', {'spec': {'paused': False}})
    s.step('resumed again')


def deploy_pause_midway(s):
    s.create(deployment('web', 4))
    s.step('created')
    s.image('deployments', 'web', 'bad:2')
    s.step('half rolled')
    s.patch('deployments', 'web', {'spec': {'paused': True}})
    s.step('paused midway')
    s.scale('deployments', 'web', 10)
    s.step('scaled in proportion')
    s.scale('deployments', 'web', 5)
    s.step('and back')
    s.patch('deployments', 'web', {'spec': {'paused': False}})
    s.step('resumed')
    s.scale('deployments', 'web', 8)
    s.step('scaled while rolling')
    s.image('deployments', 'web', 'app:3')
    s.step('good again')


def deploy_deadline(s):
    s.create(deployment('web', 2, image='bad:1', progressDeadlineSeconds=3))
    s.step('created bad')
    s.until(lambda s: any(c.get('reason') == 'ProgressDeadlineExceeded' for c in s.get('deployments', 'web')['status']['conditions']))
    s.step('deadline')
    s.image('deployments', 'web', 'app:2')
    s.step('good')
    s.image('deployments', 'web', 'bad:3')
    s.until(lambda s: any(c.get('reason') == 'ProgressDeadlineExceeded' for c in s.get('deployments', 'web')['status']['conditions']))
    s.step('deadline of an update')
    s.image('deployments', 'web', 'app:2')
    s.step('undone')


def deploy_recreate(s):
    s.create(deployment('web', 3, strategy={'type': 'Recreate'}))
    s.step('created')
    s.image('deployments', 'web', 'app:2')
    s.step('second template')
    s.image('deployments', 'web', 'bad:3')
    s.step('bad')
    s.scale('deployments', 'web', 4)
    s.step('scaled')
    s.image('deployments', 'web', 'app:1')
    s.step('first again')


def deploy_failures(s):
    s.create(deployment('web', 3))
    s.step('created')
    s.finish(s.pods()[0], 1)
    s.step('one failed')
    s.ready(s.pods()[-1], False)
    s.step('one is not ready')
    s.delete('pods', s.pods()[-1]['metadata']['name'])
    s.step('one deleted')
    s.finish(s.pods()[-1], 0)
    s.step('one succeeded')


def deploy_min_ready(s):
    s.create(deployment('web', 2, minReadySeconds=4))
    s.step('created', quiet=6)
    s.image('deployments', 'web', 'app:2')
    s.step('second', quiet=6)


def deploy_delete(s):
    for name, how in (('back', 'Background'), ('fore', 'Foreground'), ('orph', 'Orphan')):
        s.create(deployment(name, 2))
        s.step('created ' + name)
        s.delete('deployments', name, how)
        s.step('deleted ' + how, quiet=3)
    s.create(deployment('orph', 2))
    s.step('adopts', quiet=3)


def deploy_adopt(s):
    s.create(replicaset('old', 2, pod={'labels': {'app': 'web', 'x': 'y'}}, selector={'matchLabels': {'app': 'web', 'x': 'y'}}))
    s.step('a set')
    s.create(deployment('web', 2))
    s.step('adopted')
    s.patch('replicasets', 'old', {'metadata': {'labels': {'app': 'other'}}})
    s.step('released')


def deploy_selects_all(s):
    s.create(deployment('a', 2, selector={'matchLabels': {'app': 'a'}}))
    s.create(deployment('b', 2, selector={'matchLabels': {'app': 'b'}}, pod={'labels': {'app': 'b', 'more': 'z'}}))
    s.step('two')
    s.create(pod('lone', {'app': 'a'}))
    s.step('a pod that only the deployment would select')


def deploy_quota(s):
    s.create({'kind': 'ResourceQuota', 'metadata': {'name': 'few'}, 'spec': {'hard': {'pods': '2'}}})
    s.step('quota')
    s.create(deployment('web', 3))
    s.step('one too many', quiet=3, limit=30)


def deploy_undo(s):
    s.create(deployment('web', 2))
    s.step('created')
    for image in ('app:2', 'app:3', 'app:1', 'app:2'):
        s.image('deployments', 'web', image)
        s.step('to ' + image)


def deploy_big(s):
    s.create(deployment('web', 14))
    s.step('created')
    s.scale('deployments', 'web', 1)
    s.step('down')


SCENARIOS = [deploy_rolling, deploy_one_up, deploy_one_down, deploy_pause, deploy_pause_midway, deploy_deadline, deploy_recreate, deploy_failures,
             deploy_min_ready, deploy_delete, deploy_adopt, deploy_selects_all, deploy_quota, deploy_undo, deploy_big]
