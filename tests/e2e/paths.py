"""Paths and headers that few clients send: which status and which words they are answered with. usage: paths.py URL PKI_DIR"""
import http.client
import json
import ssl
import sys
import urllib.parse

url, pki = sys.argv[1:]
host = urllib.parse.urlparse(url)
tls = ssl.create_default_context(cafile=pki + '/ca.crt')
tls.load_cert_chain(pki + '/admin.crt', pki + '/admin.key')
PODS = '/api/v1/namespaces/default/pods'
TABLE = 'application/json;as=Table;v=v1;g=meta.k8s.io'
PARTIAL = 'application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io'
PARTIALS = 'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io'
bad = 0


def ask(method, path, body=None, **headers):
    c = http.client.HTTPSConnection(host.hostname, host.port, context=tls, timeout=60)
    c.request(method, path, json.dumps(body) if body is not None else None, {'Content-Type': 'application/json', **{k.replace('_', '-'): v for k, v in headers.items()}})
    r = c.getresponse()
    answer = r.status, r.read().decode('utf-8', 'replace'), {k.lower(): v for k, v in r.getheaders()}
    c.close()
    return answer


def want(method, path, status, words='', kind=None, body=None, **headers):
    """The answer has that status and those words, and is of that media type."""
    global bad
    got = ask(method, path, body, **headers)
    if got[0] != status or words not in got[1] or (kind and got[2].get('content-type') != kind):
        print('FAILED: %s %s %s\n  wanted: %s %s %s\n  got: %s %s %s' % (method, path, headers, status, words, kind or '', got[0], got[1][:300], got[2].get('content-type')))
        bad = 1
    return got


def expect(name, is_, should):
    global bad
    if is_ != should:
        print('FAILED: %s\n  wanted: %s\n  got: %s' % (name, should, is_))
        bad = 1


def immortal():
    for ns in ('default', 'kube-system', 'kube-public'):
        want('DELETE', '/api/v1/namespaces/' + ns, 403, 'namespaces \\"%s\\" is forbidden: this namespace may not be deleted' % ns)
    for name in ('system-cluster-critical', 'system-node-critical'):
        want('DELETE', '/apis/scheduling.k8s.io/v1/priorityclasses/' + name, 403, 'this is a system priority class and cannot be deleted')
    want('POST', '/api/v1/namespaces', 201, body={'metadata': {'name': 'mortal'}})
    want('DELETE', '/api/v1/namespaces/mortal', 200, 'Terminating')


def segments():
    want('GET', PODS + '/..', 400, 'Name parameter invalid: \\"..\\": may not be \'..\'')
    want('GET', PODS + '/%2e', 400, "may not be '.'")
    want('GET', PODS + '/a%25b', 400, "may not contain '%'")
    want('GET', PODS + '/a%00b', 400, 'Name parameter invalid')
    want('GET', PODS + '/a%ffb', 404, 'pods \\"a\\ufffdb\\" not found')       # no character: nothing else can be told of it
    want('GET', '/api/v1/namespaces/../pods', 500, 'invalid key: \\"/pods/..\\"')
    want('GET', '/api/v1/namespaces//pods', 200, 'PodList')
    want('GET', '/api/v1//pods', 404, 'NotFound')
    want('GET', '/api%2Fv1%2Fpods', 200, 'PodList')
    want('GET', '/%68ealthz', 200, 'ok')
    for path in ('/..', '/./api', '/%2e%2e/api', '/healthz%00', '/apis//apps', '/livez/'):
        want('GET', path, 404, '404 page not found', 'text/plain; charset=utf-8')
        if not path.startswith('/apis/'):
            want('GET', path, 403, 'cannot get path', Impersonate_User='jane')
    want('GET', '/api/../version', 403, 'cannot list resource \\"version\\"', Impersonate_User='jane')
    want('GET', '/index.html', 200, '"/healthz"')


def what_follows():
    want('POST', PODS, 201, body={'metadata': {'name': 'p'}, 'spec': {'schedulerName': 'nobody', 'containers': [{'name': 'c', 'image': 'localhost/none:1'}]}})
    want('GET', PODS + '/p/status/', 200, '"p"')
    want('GET', PODS + '/p/status/x', 404, 'could not find the requested resource')
    status, body, headers = want('GET', PODS + '/p/log', 204)
    expect('nothing has run: no body and no length', (body, headers.get('content-length')), ('', None))
    want('GET', PODS + '/p/log', 406, 'only the following media types', Accept=TABLE)
    want('GET', PODS + '/p?gracePeriodSeconds=x', 200)
    want('GET', PODS + '?limit=1&limit=x', 200)
    want('DELETE', PODS + '/p?gracePeriodSeconds=x', 400, 'strconv.ParseInt')


def forms():
    """What is wrong with the question comes before the form of its answer."""
    want('GET', PODS + '/absent', 404, 'pods \\"absent\\" not found', Accept=PARTIALS)
    want('GET', PODS + '/p', 406, 'the requested object is not a list (*core.Pod)', Accept=PARTIALS)
    want('GET', PODS + '?fieldSelector=a=b', 400, 'field label not supported: a', Accept=PARTIAL)
    want('GET', PODS, 406, 'the requested object is a list (*core.PodList)', Accept=PARTIAL)
    want('GET', PODS + '/absent/log', 404, 'pods \\"absent\\" not found', Accept=PARTIAL)
    want('GET', PODS + '?fieldSelector=%3D', 200, 'PodList')
    want('GET', '/apis/resource.k8s.io/v1/resourceslices?fieldSelector=metadata.namespace=x', 400, 'Kind=ResourceSlice: metadata.namespace')
    for accept, status in ((TABLE, 406), (TABLE + ',application/json', 200), (PARTIAL, 200)):
        want('GET', '/apis/apiregistration.k8s.io/v1/apiservices/v1.apps/status', status, Accept=accept)
    for method, path, warned in (('GET', '/api/v1/endpoints', True), ('POST', '/api/v1/endpoints', False), ('GET', '/api/v1/componentstatuses?watch=1', True)):
        expect('a warning where there is a route: ' + path, 'warning' in ask(method, path)[2], warned)
    _, text, _ = want('GET', '/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas', 200, Accept=TABLE)
    order = [(row['cells'][2], row['cells'][0]) for row in json.loads(text)['rows']]
    expect('flow schemas as they are asked', (order, order[0][1]), (sorted(order), 'exempt'))
    _, text, _ = want('GET', '/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas/probes', 200)
    expect('whose status is written', [(m['manager'], m['operation']) for m in json.loads(text)['metadata']['managedFields'] if m.get('subresource')],
           [('api-priority-and-fairness-config-consumer-v1', 'Apply')])
    want('GET', '/api/v1/componentstatuses?fieldSelector=metadata.name=etcd-0', 200, 'ComponentStatusList')
    want('GET', '/api/v1/componentstatuses?watch=1', 405, 'watch is not supported on resources of kind \\"componentstatuses\\"')
    want('GET', '/api/v1/componentstatuses/none', 404, 'componentstatus \\"none\\" not found')


def documents():
    for accept, kind in (('application/com.github.proto-openapi.spec.v3@v1.0+protobuf', 'application/com.github.proto-openapi.spec.v3.v1.0+protobuf'),
                         ('*', 'application/json'), ('*/json', 'application/json'), ('text/*', None), ('APPLICATION/JSON', None)):
        want('GET', '/openapi/v3/apis/apps/v1', 200 if kind else 406, kind=kind, Accept=accept)
    _, _, headers = want('GET', '/openapi/v2', 304, If_None_Match='*')
    expect('nothing has no type', headers.get('content-type'), None)
    want('GET', '/openapi/v3/', 404)
    status, body, headers = want('GET', '/openapi/v3', 200)
    where = json.loads(body)['paths']['apis/apps/v1']['serverRelativeURL']
    status, body, headers = want('GET', where, 200)
    expect('what is named by its sum never changes', (headers.get('cache-control'), 'expires' in headers), ('public, immutable', True))
    want('GET', where, 304, If_None_Match='"x", ' + headers['etag'])
    status, body, headers = want('GET', '/openapi/v3/apis/apps/v1?hash=x', 301, kind='application/json')
    expect('another sum leads to the right one', headers.get('location'), where)
    aggregated = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList'
    for path, status in (('/apis', 200), ('/apis/apps', 406), ('/apis/apps/v1', 406), ('/api/v1', 406)):
        want('GET', path, status, Accept=aggregated)
        want('GET', path, 200, Accept=aggregated + ',application/json')


immortal()
segments()
what_follows()
forms()
documents()
sys.exit(bad)
