"""Random nodes, namespaces and pods with all rules that a scheduler has to mind, of a seed."""

APPS = ['web', 'db', 'cache']
TIERS = ['front', 'back']
ZONES = ['za', 'zb', 'zc']
HOST, ZONE = 'kubernetes.io/hostname', 'topology.kubernetes.io/zone'
KEYS = [HOST, ZONE, 'rack']
IMAGES = {'registry/small:1': 30 << 20, 'registry/large:1': 800 << 20, 'registry/plain': 400 << 20}


def node(r, i, prefix):
    name = '%sn%d' % (prefix, i)
    labels = {HOST: name, 'disk': r.choice(['ssd', 'hdd'])}
    if r.random() < .9:
        labels[ZONE] = r.choice(ZONES)
    if r.random() < .6:
        labels['rack'] = r.choice(['r1', 'r2'])
    taints = []
    for key, effect, chance in (('dedicated', 'NoSchedule', .15), ('old', 'PreferNoSchedule', .3), ('far', 'PreferNoSchedule', .15)):
        if r.random() < chance:
            taints.append({'key': key, 'value': 'x', 'effect': effect})
    room = {'cpu': r.choice(['2', '4', '8']), 'memory': r.choice(['4Gi', '8Gi', '16Gi']), 'pods': r.choice(['8', '110'])}
    images = [{'names': [n if ':' in n else n + ':latest'], 'sizeBytes': s} for n, s in IMAGES.items() if r.random() < .4]
    return {'apiVersion': 'v1', 'kind': 'Node', 'metadata': {'name': name, 'labels': labels}, 'spec': {'taints': taints} if taints else {}}, \
        {'capacity': room, 'allocatable': room, 'conditions': [{'type': 'Ready', 'status': 'True'}], 'images': images}


def labels(r):
    return {'app': r.choice(APPS), 'tier': r.choice(TIERS)}


def selector(r):
    k = r.random()
    if k < .03:
        return {}
    if k < .6:
        return {'matchLabels': {'app': r.choice(APPS)}}
    if k < .75:
        return {'matchLabels': labels(r)}
    return {'matchExpressions': [r.choice([
        {'key': 'app', 'operator': 'In', 'values': r.sample(APPS, 2)}, {'key': 'app', 'operator': 'NotIn', 'values': [r.choice(APPS)]},
        {'key': 'tier', 'operator': 'Exists'}, {'key': 'none', 'operator': 'DoesNotExist'}, {'key': 'app', 'operator': 'In', 'values': [r.choice(APPS)]}])]}


def term(r, spaces):
    t = {'topologyKey': r.choice(KEYS), 'labelSelector': selector(r)}
    k = r.random()
    if k < .15:
        t['namespaces'] = r.sample(spaces, r.randint(1, 2))
    elif k < .3:
        t['namespaceSelector'] = r.choice([{}, {'matchLabels': {'team': 'red'}}, {'matchExpressions': [{'key': 'team', 'operator': 'In', 'values': ['blue', 'green']}]}])
    if r.random() < .1 and 'tier' not in str(t['labelSelector']):
        t[r.choice(['matchLabelKeys', 'mismatchLabelKeys'])] = ['tier']
    return t


def wish(r, spaces):
    return {'weight': r.randint(1, 100), 'podAffinityTerm': term(r, spaces)}


def node_term(r):
    return {'matchExpressions': [r.choice([{'key': 'disk', 'operator': 'In', 'values': ['ssd']}, {'key': 'rack', 'operator': 'Exists'},
                                           {'key': ZONE, 'operator': 'NotIn', 'values': [r.choice(ZONES)]}])]}


def affinity(r, spaces):
    a = {}
    must, may = 'requiredDuringSchedulingIgnoredDuringExecution', 'preferredDuringSchedulingIgnoredDuringExecution'
    for kind, hard, soft in (('podAffinity', .15, .25), ('podAntiAffinity', .25, .25)):
        if r.random() < hard:
            a.setdefault(kind, {})[must] = [term(r, spaces) for _ in range(r.choice([1, 1, 2]))]
        if r.random() < soft:
            a.setdefault(kind, {})[may] = [wish(r, spaces) for _ in range(r.choice([1, 2]))]
    if r.random() < .1:
        a.setdefault('nodeAffinity', {})[must] = {'nodeSelectorTerms': [node_term(r) for _ in range(r.choice([1, 2]))]}
    if r.random() < .25:
        a.setdefault('nodeAffinity', {})[may] = [{'weight': r.randint(1, 100), 'preference': node_term(r)} for _ in range(r.choice([1, 2]))]
    return a


def spread(r):
    c = {'maxSkew': r.choice([1, 1, 2]), 'topologyKey': r.choice(KEYS), 'whenUnsatisfiable': r.choice(['DoNotSchedule', 'ScheduleAnyway']), 'labelSelector': selector(r)}
    if c['whenUnsatisfiable'] == 'DoNotSchedule' and r.random() < .25:
        c['minDomains'] = r.randint(1, 4)
    if r.random() < .2:
        c['nodeAffinityPolicy'] = r.choice(['Honor', 'Ignore'])
    if r.random() < .3:
        c['nodeTaintsPolicy'] = r.choice(['Honor', 'Ignore'])
    if r.random() < .15 and 'tier' not in str(c['labelSelector']):
        c['matchLabelKeys'] = ['tier']
    return c


def pod(r, name, ns, spaces, priorities=False):
    containers = []
    for i in range(r.choice([1, 1, 2])):
        asks = {k: v for k, v in (('cpu', r.choice(['100m', '250m', '1'])), ('memory', r.choice(['64Mi', '512Mi', '1Gi']))) if r.random() < .7}
        containers.append({'name': 'c%d' % i, 'image': r.choice(list(IMAGES) + ['registry/none:1']), 'resources': {'requests': asks}})
    spec = {'containers': containers}
    if r.random() < .15:
        spec['nodeSelector'] = {'disk': r.choice(['ssd', 'hdd'])}
    if r.random() < .3:
        spec['tolerations'] = [r.choice([{'key': 'dedicated', 'operator': 'Exists'}, {'operator': 'Exists'}, {'key': 'old', 'operator': 'Equal', 'value': 'x'}])]
    a = affinity(r, spaces)
    if a:
        spec['affinity'] = a
    if r.random() < .45:
        found = {}
        for _ in range(r.choice([1, 1, 2])):
            c = spread(r)
            found[c['topologyKey'], c['whenUnsatisfiable']] = c
        spec['topologySpreadConstraints'] = list(found.values())
    if priorities:
        spec['priorityClassName'] = r.choice(['low', 'low', 'high'])
    return {'apiVersion': 'v1', 'kind': 'Pod', 'metadata': {'name': name, 'namespace': ns, 'labels': labels(r)}, 'spec': spec}
