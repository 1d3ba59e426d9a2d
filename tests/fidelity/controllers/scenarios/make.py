"""Objects for the scenarios."""


def template(app, image='app:1', **spec):
    labels = spec.pop('labels', {'app': app})
    return {'metadata': {'labels': labels}, 'spec': dict({'terminationGracePeriodSeconds': 1, 'containers': [{'name': 'app', 'image': image}]}, **spec)}


def workload(kind, name, replicas=None, image='app:1', pod=None, **spec):
    s = {'selector': {'matchLabels': {'app': name}}, 'template': template(name, image, **(pod or {}))}
    if replicas is not None:
        s['replicas'] = replicas
    s.update(spec)
    return {'kind': kind, 'metadata': {'name': name}, 'spec': s}


def deployment(name, replicas=3, **more):
    return workload('Deployment', name, replicas, **more)


def replicaset(name, replicas=3, **more):
    return workload('ReplicaSet', name, replicas, **more)


def controller(name, replicas=3, image='app:1', **spec):
    return {'kind': 'ReplicationController', 'metadata': {'name': name},
            'spec': dict({'replicas': replicas, 'selector': {'app': name}, 'template': template(name, image)}, **spec)}


def statefulset(name, replicas=3, **more):
    more.setdefault('serviceName', name)
    return workload('StatefulSet', name, replicas, **more)


def daemonset(name, **more):
    return workload('DaemonSet', name, **more)


def job(name, image='exit:0', policy='Never', pod=None, labels=None, **spec):
    t = {'spec': dict({'restartPolicy': policy, 'terminationGracePeriodSeconds': 1, 'containers': [{'name': 'app', 'image': image}]}, **(pod or {}))}
    return {'kind': 'Job', 'metadata': {'name': name}, 'spec': dict({'template': t}, **spec)}


def service(name, selector=None, ports=((80, 8080),), **spec):
    s = {'ports': [{'name': 'p%d' % p, 'port': p, 'targetPort': t} for p, t in ports]}
    if selector:
        s['selector'] = selector
    return {'kind': 'Service', 'metadata': {'name': name}, 'spec': dict(s, **spec)}


def pod(name, labels=None, image='app:1', **spec):
    return {'kind': 'Pod', 'metadata': {'name': name, 'labels': labels or {}},
            'spec': dict({'terminationGracePeriodSeconds': 1, 'containers': [{'name': 'app', 'image': image}]}, **spec)}
