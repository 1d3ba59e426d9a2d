"""What LIST shows at which resourceVersion, page by page, and what WATCH begins and ends with. usage: lists.py URL PKI_DIR"""
import http.client
import json
import ssl
import sys
import time
import urllib.parse

url, pki = sys.argv[1:]
host = urllib.parse.urlparse(url)
tls = ssl.create_default_context(cafile=pki + '/ca.crt')
tls.load_cert_chain(pki + '/admin.crt', pki + '/admin.key')
MAPS = '/api/v1/namespaces/default/configmaps'
bad = 0


def ask(path, method='GET', body=None, **query):
    c = http.client.HTTPSConnection(host.hostname, host.port, context=tls, timeout=120)
    text = urllib.parse.urlencode(query)
    c.request(method, path + ('?' + text if text else ''), json.dumps(body) if body else None, {'Content-Type': 'application/json'})
    r = c.getresponse()
    data = r.read()
    c.close()
    return r.status, json.loads(data), dict((k.lower(), v) for k, v in r.getheaders())


def events(path, **query):
    """All events of a watch that ends by itself."""
    c = http.client.HTTPSConnection(host.hostname, host.port, context=tls, timeout=120)
    c.request('GET', path + '?' + urllib.parse.urlencode(dict(query, watch=1)))
    r = c.getresponse()
    data = r.read()
    c.close()
    return r.status, [json.loads(x) for x in data.splitlines()]


def want(name, is_, should):
    global bad
    if is_ != should:
        print('FAILED: %s\n  wanted: %s\n  got: %s' % (name, should, is_))
        bad = 1


def put(name, value, labels=None):
    o = {'metadata': {'name': name, 'labels': labels or {}}, 'data': {'v': value}}
    status, got, _ = ask(MAPS + '/' + name, 'PUT', o)
    if status == 404:
        status, got, _ = ask(MAPS, 'POST', o)
    assert status in (200, 201), got
    return got['metadata']['resourceVersion']


def names(answer):
    return [o['metadata']['name'] for o in answer['items'] if o['metadata']['name'] != 'kube-root-ca.crt']


def failed(name, answer, code, reason, text):
    status, body, _ = answer
    want(name, (status, body.get('code'), body.get('reason')), (code, code, reason))
    want(name + ': text', text in body.get('message', ''), True)
    if text not in body.get('message', ''):
        print(body)


def pages():
    for n in 'abcdef':
        put('m-' + n, '1', {'g': n})
    _, first, _ = ask(MAPS, limit=2, fieldSelector='metadata.name!=kube-root-ca.crt')
    want('no count with a selector', 'remainingItemCount' in first['metadata'], False)
    _, whole, _ = ask(MAPS)
    every = [o['metadata']['name'] for o in whole['items']]
    _, first, _ = ask(MAPS, limit=2)
    rv, token = first['metadata']['resourceVersion'], first['metadata']['continue']
    want('remaining', first['metadata']['remainingItemCount'], len(every) - 2)
    ask(MAPS + '/m-d', 'DELETE')
    ask(MAPS + '/m-e', 'DELETE')
    put('m-e', 'again')
    put('m-c', '2')
    put('m-bb', 'new')
    put('m-z', 'new')
    seen, values = [o['metadata']['name'] for o in first['items']], {}
    while token:
        status, page, _ = ask(MAPS, **{'limit': 2, 'continue': token})
        want('page', status, 200)
        want('one revision', page['metadata']['resourceVersion'], rv)
        seen += [o['metadata']['name'] for o in page['items']]
        values.update((o['metadata']['name'], o['data'].get('v')) for o in page['items'])
        token = page['metadata'].get('continue')
    want('all pages show what the first did', seen, every)
    want('with its values', (values['m-c'], values['m-d'], values['m-e']), ('1', '1', '1'))
    _, exact, _ = ask(MAPS, resourceVersion=rv, resourceVersionMatch='Exact')
    want('exact', exact, dict(whole, metadata=exact['metadata']))
    _, legacy, _ = ask(MAPS, resourceVersion=rv, limit=500)
    want('a limit makes a version exact', names(legacy), names(whole))
    _, newer, _ = ask(MAPS, resourceVersion=rv, resourceVersionMatch='NotOlderThan', limit=500)
    want('not older', names(newer), ['m-a', 'm-b', 'm-bb', 'm-c', 'm-e', 'm-f', 'm-z'])
    _, selected, _ = ask(MAPS, resourceVersion=rv, resourceVersionMatch='Exact', labelSelector='g in (c,d)')
    want('exact with a selector', names(selected), ['m-c', 'm-d'])
    _, zero, _ = ask(MAPS, resourceVersion=0, limit=2)
    want('0: no limit', len(names(zero)), 7)
    table = http_table(rv)
    want('a table of then', [r['cells'][0] for r in table['rows'] if r['cells'][0] != 'kube-root-ca.crt'], names(whole))


def http_table(rv):
    c = http.client.HTTPSConnection(host.hostname, host.port, context=tls, timeout=120)
    c.request('GET', MAPS + '?resourceVersionMatch=Exact&resourceVersion=' + rv, headers={'Accept': 'application/json;as=Table;g=meta.k8s.io;v=v1'})
    return json.loads(c.getresponse().read())


def mistakes():
    _, page, _ = ask(MAPS, limit=1)
    token = page['metadata']['continue']
    failed('exact 0', ask(MAPS, resourceVersion=0, resourceVersionMatch='Exact'), 422, 'Invalid', 'forbidden for resourceVersion \"0\"')
    failed('match alone', ask(MAPS, resourceVersionMatch='Exact'), 422, 'Invalid', 'is forbidden unless resourceVersion is provided')
    failed('match and continue', ask(MAPS, **{'continue': token, 'resourceVersion': '0', 'resourceVersionMatch': 'NotOlderThan'}), 422, 'Invalid',
           'resourceVersionMatch is forbidden when continue is provided')
    failed('bad match', ask(MAPS, resourceVersion=1, resourceVersionMatch='Newest'), 422, 'Invalid', 'Unsupported value: "Newest"')
    failed('version and continue', ask(MAPS, **{'continue': token, 'resourceVersion': '1'}), 400, 'BadRequest',
           'specifying resource version is not allowed when using continue')
    failed('bad token', ask(MAPS, **{'continue': 'nonsense'}), 400, 'BadRequest', 'continue key is not valid')
    failed('bad version', ask(MAPS, resourceVersion='x'), 400, 'BadRequest', 'x')
    failed('bad version of one', ask(MAPS + '/m-a', resourceVersion='x'), 500, None, 'x')
    failed('bad selector', ask(MAPS, labelSelector='a in'), 400, 'BadRequest', '')
    for _ in range(5):                      # while it is still being sent
        failed('too large', ask(MAPS, 'POST', 'x' * 3200000), 413, 'RequestEntityTooLarge', 'Request entity too large: limit is 3145728')
    failed('initial events of a list', ask(MAPS, sendInitialEvents='true'), 422, 'Invalid', 'sendInitialEvents is forbidden for list')
    c = http.client.HTTPSConnection(host.hostname, host.port, context=tls, timeout=120)
    c.request('GET', MAPS, headers={'Accept': 'application/cbor'})       # its gate is off by default
    r = c.getresponse()
    want('CBOR asked for', (r.status, json.loads(r.read())['reason']), (406, 'NotAcceptable'))
    c.request('POST', MAPS, b'\xa0', {'Content-Type': 'application/cbor'})
    r = c.getresponse()
    want('CBOR sent', (r.status, json.loads(r.read())['reason']), (415, 'UnsupportedMediaType'))
    c.close()
    for path in (MAPS, MAPS + '/m-a'):
        answer = ask(path, resourceVersion=10 ** 12)
        failed('future', answer, 504, 'Timeout', 'Too large resource version')
        want('future: cause', answer[1]['details']['causes'][0]['reason'], 'ResourceVersionTooLarge')
        want('future: again', (answer[1]['details']['retryAfterSeconds'], answer[2].get('retry-after')), (1, '1'))


def watches():
    start = put('w-a', '1', {'on': 'yes'})
    put('w-a', '2', {'on': 'no'})
    put('w-b', '1', {'on': 'yes'})
    _, gone, _ = ask(MAPS + '/w-b', 'DELETE')
    status, seen = events(MAPS, resourceVersion=start, timeoutSeconds=3, allowWatchBookmarks='true')      # two seconds before the end
    want('watch: types', [e['type'] for e in seen], ['MODIFIED', 'ADDED', 'DELETED', 'BOOKMARK'])
    versions = [int(e['object']['metadata']['resourceVersion']) for e in seen]
    want('watch: versions rise', versions == sorted(versions) and versions[2] > versions[1] > versions[0] > int(start), True)
    want('watch: bookmark', seen[-1]['object'], {'kind': 'ConfigMap', 'apiVersion': 'v1', 'metadata': {'resourceVersion': seen[-1]['object']['metadata']['resourceVersion']}})
    _, seen = events(MAPS, resourceVersion=start, timeoutSeconds=1, labelSelector='on=yes')
    want('watch: selector', [(e['type'], e['object']['metadata']['name'], e['object']['data']['v']) for e in seen],
         [('DELETED', 'w-a', '1'), ('ADDED', 'w-b', '1'), ('DELETED', 'w-b', '1')])
    want('watch: left at the change', int(seen[0]['object']['metadata']['resourceVersion']) > int(start), True)
    for rv in ({}, {'resourceVersion': '0'}):
        _, seen = events(MAPS, timeoutSeconds=1, fieldSelector='metadata.name=w-a', allowWatchBookmarks='true', **rv)
        want('watch: where it ends', seen.pop()['object']['metadata'].get('annotations'), {'k8s.io/initial-events-end': 'true'})
        want('watch: what is there', [(e['type'], e['object']['metadata']['name']) for e in seen], [('ADDED', 'w-a')])
    _, seen = events(MAPS, timeoutSeconds=1, sendInitialEvents='true', resourceVersionMatch='NotOlderThan', allowWatchBookmarks='true',
                     resourceVersion='', fieldSelector='metadata.name=w-a')
    want('initial events', [e['type'] for e in seen][:2], ['ADDED', 'BOOKMARK'])
    want('their end', seen[1]['object']['metadata']['annotations'], {'k8s.io/initial-events-end': 'true'})
    _, seen = events(MAPS, timeoutSeconds=1, sendInitialEvents='true', resourceVersionMatch='NotOlderThan')
    want('no bookmark unasked', [e['type'] for e in seen if e['type'] == 'BOOKMARK'], [])
    _, seen = events(MAPS.replace('/api/v1/', '/api/v1/watch/') + '/w-a', timeoutSeconds=1)
    want('a watch by the path of a name', [e['object']['metadata']['name'] for e in seen], ['w-a'])
    want('an object is read, not watched', ask(MAPS + '/w-a', watch='true', timeoutSeconds=1)[1]['kind'], 'ConfigMap')
    _, seen = events(MAPS, timeoutSeconds=1, sendInitialEvents='false', resourceVersionMatch='NotOlderThan', resourceVersion='0')
    want('from now on', seen, [])
    status, seen = events(MAPS, timeoutSeconds=1, sendInitialEvents='true')
    want('initial events need a match', (status, seen[0]['reason']), (422, 'Invalid'))
    status, seen = events(MAPS, timeoutSeconds=1, resourceVersion='1', resourceVersionMatch='NotOlderThan')
    want('a match needs initial events', (status, seen[0]['reason']), (422, 'Invalid'))
    status, seen = events(MAPS, timeoutSeconds=1, resourceVersion=10 ** 12, sendInitialEvents='true', resourceVersionMatch='NotOlderThan')
    want('initial events of the future', (status, [(e['type'], e['object']['code'], e['object']['reason']) for e in seen]), (200, [('ERROR', 504, 'Timeout')]))
    want('a time that is over', events(MAPS, timeoutSeconds=-1), (200, []))
    _, seen = events('/apis/batch/v1/cronjobs', timeoutSeconds=1, allowWatchBookmarks='true', resourceVersion=0)
    want('a bookmark has what must be there', (seen[0]['object']['spec'], seen[0]['object']['status']),
         ({'schedule': '', 'jobTemplate': {'metadata': {}, 'spec': {'template': {'metadata': {}, 'spec': {'containers': None}}}}}, {}))
    table = json.loads(frame(live(TABLE, '/apis/apps/v1/deployments', timeoutSeconds=1, allowWatchBookmarks='true', includeObject='None')))['object']
    want('a bookmark may be the first to have columns', (bool(table['columnDefinitions']), list(table['rows'][0]['object']['metadata'])), (True, ['resourceVersion', 'annotations']))


PROTOBUF = 'application/vnd.kubernetes.protobuf;stream=watch'
PARTIAL = 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1'
PARTIAL_PROTOBUF = 'application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;g=meta.k8s.io;v=v1;stream=watch'
TABLE = 'application/json;as=Table;g=meta.k8s.io;v=v1'


def live(accept, path=MAPS, **query):
    """A watch under way: the answer, as a file."""
    c = http.client.HTTPSConnection(host.hostname, host.port, context=tls, timeout=120)
    c.request('GET', path + '?' + urllib.parse.urlencode(dict(query, watch=1)), headers={'Accept': accept})
    r = c.getresponse()
    assert r.status == 200, r.read()
    return c, r, 'protobuf' in accept


def frame(watch):
    """The next event's bytes."""
    _, r, binary = watch
    return r.read(int.from_bytes(r.read(4), 'big')) if binary else r.readline()


def kind_of(b):
    """The type of an event in either form."""
    return b[2:2 + b[1]].decode() if b[:1] == b'\n' else json.loads(b)['type']


def told_together():
    """What watchers are sent is made once for all that are sent the same: each must see its own form and its own types, whoever came first."""
    start = put('s-0', '1')
    forms = ['application/json', PROTOBUF, PARTIAL, PARTIAL_PROTOBUF, TABLE]
    opened = []
    for accept in forms + forms[::-1]:
        for selector in ('color=red', '', 'color=red', ''):
            opened.append((accept, selector, live(accept, resourceVersion=start, **({'labelSelector': selector} if selector else {}))))
    put('s-a', '1', {'color': 'red'})
    put('s-a', '2', {'color': 'red'})
    put('s-a', '3', {'color': 'blue'})
    put('s-a', '4', {'color': 'red'})
    ask(MAPS + '/s-a', 'DELETE')
    seen = {}
    for accept, selector, watch in opened:
        got = [frame(watch) for _ in range(5)]
        types = 'ADDED MODIFIED DELETED ADDED DELETED' if selector else 'ADDED MODIFIED MODIFIED MODIFIED DELETED'
        want('together: types of %s %s' % (accept, selector), ' '.join(kind_of(b) for b in got), types)
        want('together: the same for all of %s %s' % (accept, selector), got, seen.setdefault((accept, selector), got))
        watch[0].close()
    plain, chosen = seen[('application/json', '')], seen[('application/json', 'color=red')]
    want('together: what is shared is equal', [plain[i] == chosen[i] for i in range(5)], [True, True, False, False, True])
    want('together: left as it was', json.loads(chosen[2])['object']['data']['v'], '2')
    for form, field in ((PROTOBUF, b'ConfigMap'), (PARTIAL_PROTOBUF, b'PartialObjectMetadata')):
        want('together: kind in ' + form, [field in b for b in seen[(form, '')]], [True] * 5)
        want('together: data in ' + form, [b'\x0a\x01v\x12\x01' in b for b in seen[(form, '')]], [form == PROTOBUF] * 5)
    want('together: kind in JSON', [json.loads(b)['object']['kind'] for b in (plain + seen[(PARTIAL, '')])], ['ConfigMap'] * 5 + ['PartialObjectMetadata'] * 5)
    tables = [json.loads(b)['object'] for b in seen[(TABLE, '')]]
    want('together: columns once', [(t['kind'], bool(t.get('columnDefinitions'))) for t in tables], [('Table', True)] + [('Table', False)] * 4)


def by_field():
    """Watches of one node's pods, of one name: what each makes of a pod that is created, bound, changed and deleted."""
    pods = '/api/v1/namespaces/default/pods'
    pod = {'metadata': {'name': 'f-a'}, 'spec': {'schedulerName': 'nobody', 'containers': [{'name': 'c', 'image': 'localhost/none:1'}]}}
    start = ask(pods)[1]['metadata']['resourceVersion']
    whole = 'f-a ADDED f-a MODIFIED f-a MODIFIED f-a MODIFIED f-a DELETED f-z ADDED'
    bound = 'f-a ADDED f-a MODIFIED f-a MODIFIED f-a DELETED'
    should = [('', whole), ('spec.nodeName=f-1', bound), ('spec.nodeName=f-2', 'f-z ADDED'), ('spec.nodeName=', 'f-a ADDED f-a DELETED'),
              ('spec.nodeName!=f-2', whole.replace(' f-z ADDED', '')), ('metadata.name=f-a', whole.replace(' f-z ADDED', '')),
              ('metadata.name=f-z', 'f-z ADDED'), ('metadata.name=f-a,spec.nodeName=f-1', bound), ('metadata.name=f-z,spec.nodeName=f-1', ''),
              ('spec.nodeName=f-1,spec.nodeName=f-2', ''), ('spec.nodeName=f-1,spec.schedulerName=nobody', bound)]
    opened = [(selector, events_of, live('application/json', pods, resourceVersion=start, fieldSelector=selector)) for selector, events_of in should * 2]
    assert ask(pods, 'POST', pod)[0] == 201
    binding = {'metadata': {'name': 'f-a'}, 'target': {'kind': 'Node', 'name': 'f-1'}}
    assert ask(pods + '/f-a/binding', 'POST', binding)[0] == 201
    status, bound_pod, _ = ask(pods + '/f-a')
    bound_pod['metadata']['labels'] = {'changed': 'yes'}
    assert ask(pods + '/f-a', 'PUT', bound_pod)[0] == 200
    assert ask(pods + '/f-a', 'DELETE', gracePeriodSeconds=0)[0] == 200
    pod['metadata']['name'], pod['spec']['nodeName'] = 'f-z', 'f-2'
    assert ask(pods, 'POST', pod)[0] == 201
    for selector, events_of, watch in opened:
        seen = [json.loads(frame(watch)) for _ in range(len(events_of.split()) // 2)]
        want('field: ' + selector, ' '.join('%s %s' % (e['object']['metadata']['name'], e['type']) for e in seen), events_of)
    # Nothing else comes: the next thing that each sees is what ends it.
    ask(pods + '/f-z', 'DELETE', gracePeriodSeconds=0)
    for selector, events_of, watch in opened:
        if 'f-z' in events_of:
            want('field: end of ' + selector, [json.loads(frame(watch))['type'] for _ in range(2)], ['MODIFIED', 'DELETED'])
        watch[0].close()


def deleted():
    """What a watch is told of a deletion: a pod's begins with a change, even when it is over at once; whose last finalizer goes is shown as it was stored."""
    def told(path, after):
        return [(e['type'], e['object']['metadata']) for e in events(path, resourceVersion=after, timeoutSeconds=1)[1]]
    pods = '/api/v1/namespaces/default/pods'
    pod = {'metadata': {'name': 'd-a'}, 'spec': {'nodeName': 'f-1', 'containers': [{'name': 'c', 'image': 'localhost/none:1'}]}}
    start = ask(pods, 'POST', pod)[1]['metadata']['resourceVersion']
    answer = ask(pods + '/d-a', 'DELETE', gracePeriodSeconds=0)[1]['metadata']
    (first, changed), (second, gone) = told(pods, start)
    want('deleted at once', (first, second), ('MODIFIED', 'DELETED'))
    want('as it will be', [(m['deletionGracePeriodSeconds'], m['generation'], 'deletionTimestamp' in m) for m in (changed, gone, answer)], [(0, 2, True)] * 3)
    want('each with a revision', int(start) < int(changed['resourceVersion']) < int(gone['resourceVersion']), True)
    ask(pods, 'POST', pod)
    begun = ask(pods + '/d-a', 'DELETE', gracePeriodSeconds=60)[1]['metadata']
    again = ask(pods + '/d-a', 'DELETE')[1]['metadata']
    want('without a word of its own: it stays', (again['deletionGracePeriodSeconds'], again['resourceVersion']), (60, begun['resourceVersion']))
    longer = ask(pods + '/d-a', 'DELETE', gracePeriodSeconds=90, propagationPolicy='Foreground')[1]['metadata']
    want('never later', (longer['resourceVersion'], longer.get('finalizers')), (begun['resourceVersion'], None))
    shorter = ask(pods + '/d-a', 'DELETE', gracePeriodSeconds=20)[1]['metadata']
    seconds = [time.mktime(time.strptime(m['deletionTimestamp'], '%Y-%m-%dT%H:%M:%SZ')) for m in (begun, shorter)]
    want('shorter, from when it began', (seconds[0] - seconds[1], shorter['deletionGracePeriodSeconds'], shorter['generation']), (40, 20, 2))
    ask(pods + '/d-a', 'DELETE', gracePeriodSeconds=0)
    want('and at once', [(t, m['deletionGracePeriodSeconds']) for t, m in told(pods, shorter['resourceVersion'])], [('MODIFIED', 0), ('DELETED', 0)])
    ask(MAPS, 'POST', {'metadata': {'name': 'd-f', 'finalizers': ['example.com/x']}})
    start = ask(MAPS + '/d-f', 'DELETE')[1]['metadata']['resourceVersion']
    changed = ask(MAPS + '/d-f', 'PUT', {'metadata': {'name': 'd-f', 'labels': {'last': 'word'}}})[1]['metadata']
    want('who took it away sees it without', (changed.get('finalizers'), changed['labels']), (None, {'last': 'word'}))
    want('watches see what was stored', [(t, m.get('finalizers'), m.get('labels')) for t, m in told(MAPS, start)], [('DELETED', ['example.com/x'], None)])


def too_old():
    _, page, _ = ask(MAPS, limit=2)
    token, rv = page['metadata']['continue'], page['metadata']['resourceVersion']
    for i in range(90):                 # more than the history keeps
        put('big', '%06d' % i + 'x' * 900000)
    status, body, _ = ask(MAPS, **{'limit': 2, 'continue': token})
    failed('old token', (status, body, {}), 410, 'Expired', 'The provided continue parameter is too old')
    status, page, _ = ask(MAPS, **{'limit': 500, 'continue': body['metadata']['continue']})
    want('goes on from its key', (status, names(page)[-3:]), (200, ['m-f', 'm-z', 'w-a']))
    want('as things are now', int(page['metadata']['resourceVersion']) > int(rv), True)
    failed('old exact', ask(MAPS, resourceVersion=rv, resourceVersionMatch='Exact'), 410, 'Expired', 'too old')
    want('not older than old', ask(MAPS, resourceVersion=rv, resourceVersionMatch='NotOlderThan')[0], 200)
    status, seen = events(MAPS, resourceVersion=rv, timeoutSeconds=1)
    end = seen[0].get('object', seen[0])
    want('old watch', (end['code'], end['reason'], 'too old resource version' in end['message']), (410, 'Expired', True))


while ask(MAPS + '/kube-root-ca.crt')[0] != 200:
    time.sleep(0.1)                     # made by a controller: it would come between
pages()
mistakes()
watches()
too_old()
told_together()
by_field()
deleted()
sys.exit(bad)
