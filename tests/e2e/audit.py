"""The trail that audit.sh left. usage: audit.py FILE TOKENREQUEST CERTIFICATE'S-SHA256"""
import base64
import json
import re
import sys

events = [json.loads(line) for line in open(sys.argv[1])]
bad = 0


def fail(text):
    global bad
    print('FAILED: ' + text)
    bad = 1


def one(stage, verb, resource, name, **more):
    """The only event like that."""
    found = [e for e in events if e['stage'] == stage and e['verb'] == verb and e.get('objectRef', {}).get('resource') == resource and
             e.get('objectRef', {}).get('name') == name and all(e.get(k) == v for k, v in more.items())]
    if len(found) != 1:
        fail('%d events of %s %s %s %s' % (len(found), stage, verb, resource, name))
        return {}
    return found[0]


def want(name, is_, should):
    if is_ != should:
        fail('%s\n  wanted: %s\n  got: %s' % (name, should, is_))


MEMBERS = ['kind', 'apiVersion', 'level', 'auditID', 'stage', 'requestURI', 'verb', 'user', 'impersonatedUser', 'authenticationMetadata', 'sourceIPs', 'userAgent', 'objectRef',
           'responseStatus', 'requestObject', 'responseObject', 'requestReceivedTimestamp', 'stageTimestamp', 'annotations']
TIME = re.compile(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$')
for e in events:
    want('members', list(e), [m for m in MEMBERS if m in e])
    want('kind', (e['kind'], e['apiVersion']), ('Event', 'audit.k8s.io/v1'))
    want('times', bool(TIME.match(e['requestReceivedTimestamp']) and TIME.match(e['stageTimestamp'])) and
         e['requestReceivedTimestamp'] <= e['stageTimestamp'], True)

# everything: request and response, received and complete with one id
first = one('RequestReceived', 'create', 'configmaps', None, auditID='11111111-2222-3333-4444-555555555555')
made = one('ResponseComplete', 'create', 'configmaps', 'whole')
want('one id', made.get('auditID'), first.get('auditID'))
want('level', made.get('level'), 'RequestResponse')
want('uri', made.get('requestURI'), '/api/v1/namespaces/logged/configmaps?fieldManager=me')
want('who', (made['user']['username'], 'system:masters' in made['user']['groups']), ('kubernetes-admin', True))
want('by which certificate', made['user'].get('extra'), {'authentication.kubernetes.io/credential-id': ['X509SHA256=' + open(sys.argv[3]).read().split()[0]]})
want('where from', made['sourceIPs'], ['192.0.2.7', '127.0.0.1'])
want('agent', made['userAgent'], 'tester/1.0')
want('ref', made['objectRef'], {'resource': 'configmaps', 'namespace': 'logged', 'name': 'whole', 'apiVersion': 'v1'})
want('status', made['responseStatus'], {'metadata': {}, 'code': 201})
want('request', made['requestObject']['data'], {'a': 'b'})
want('as it was understood', (made['requestObject']['kind'], made['requestObject']['apiVersion']), ('ConfigMap', 'v1'))
want('response', made['responseObject']['metadata']['name'], 'whole')
want('no managed fields', 'managedFields' in made['responseObject']['metadata'], False)
want('decision', made['annotations']['authorization.k8s.io/decision'], 'allow')
proto = one('ResponseComplete', 'get', 'configmaps', 'whole')
want('protobuf is shown as JSON', proto['responseObject']['data'], {'a': 'b'})
listed = one('ResponseComplete', 'list', 'configmaps', None)
want('a list', (listed['responseObject']['kind'], len(listed['responseObject']['items']) >= 1), ('ConfigMapList', True))
patched = one('ResponseComplete', 'patch', 'configmaps', 'whole')
want('a patch', (patched['requestObject'], patched['responseObject']['data']), ({'data': {'c': 'd'}}, {'a': 'b', 'c': 'd'}))
lost = one('ResponseComplete', 'get', 'configmaps', 'nothing')
want('an error', lost['responseStatus'], {'metadata': {}, 'status': 'Failure', 'message': 'configmaps "nothing" not found', 'reason': 'NotFound',
                                          'details': {'name': 'nothing', 'kind': 'configmaps'}, 'code': 404})
gone = one('ResponseComplete', 'delete', 'configmaps', 'whole')
want('a deletion', (gone['responseStatus']['status'], gone['responseStatus']['code']), ('Success', 200))
want('its options', gone['requestObject'], {'kind': 'DeleteOptions', 'apiVersion': 'meta.k8s.io/__internal', 'propagationPolicy': 'Background'})

# a secret's text is nowhere
secret = one('ResponseComplete', 'create', 'secrets', 'hidden')
want('metadata only', (secret['level'], 'requestObject' in secret, 'responseObject' in secret), ('Metadata', False, False))
want('no stage that the rule omits', [e for e in events if e.get('objectRef', {}).get('resource') == 'secrets' and e['stage'] == 'RequestReceived'], [])
want('no secret', any('aGlkZGVu' in json.dumps(e) for e in events), False)

# a token is known by the same name to whom it was given and to whom it is shown
claims = json.load(open(sys.argv[2]))['status']['token'].split('.')[1]
issued = one('ResponseComplete', 'create', 'serviceaccounts', 'default')
want('a token', issued['annotations'].get('authentication.kubernetes.io/issued-credential-id'),
     'JTI=' + json.loads(base64.urlsafe_b64decode(claims + '==='))['jti'])

# a watch
want('started', one('ResponseStarted', 'watch', 'configmaps', None)['responseStatus']['code'], 200)
want('over', one('ResponseComplete', 'watch', 'configmaps', None)['responseStatus']['code'], 200)

# a stream that is refused has begun, too
for stage in ('ResponseStarted', 'ResponseComplete'):
    want('a stream', one(stage, 'get', 'pods', 'none')['responseStatus'].get('reason'), 'NotFound')
# defaults are there; what was not understood is not told, nor what nobody may
pod = one('ResponseComplete', 'create', 'pods', 'host')
want('defaults', pod['requestObject']['spec'].get('restartPolicy'), 'Always')
for code in (400, 403):
    want('not told', [('requestObject' in e, 'name' in e['objectRef']) for e in events if e['verb'] == 'create' and e.get('responseStatus', {}).get('code') == code], [(False, False)])

# who asks for whom, who may not, who is nobody
other = one('ResponseComplete', 'list', 'pods', None)
want('impersonated', (other['user']['username'], other['impersonatedUser']['username'], other['impersonatedUser']['groups']),
     ('kubernetes-admin', 'bob', ['system:authenticated']))
want('by which mode', other['authenticationMetadata'], {'impersonationConstraint': 'impersonate:user-info'})
want('refused', (other['annotations']['authorization.k8s.io/decision'], other['responseStatus']['code'], other['responseStatus']['reason']),
     ('forbid', 403, 'Forbidden'))
allowed = one('ResponseComplete', 'list', 'services', None)
want('why', allowed['annotations']['authorization.k8s.io/reason'], 'RBAC: allowed by ClusterRoleBinding "v" of ClusterRole "view" to ServiceAccount "x/logged"')
nobody = [e for e in events if e.get('responseStatus', {}).get('code') == 401]
want('nobody', [(e['stage'], e['user'], e['responseStatus'].get('message'), 'annotations' in e) for e in nobody],
     [('ResponseStarted', {}, 'Unauthorized', False)])

# what is too long loses its objects
large = one('ResponseComplete', 'create', 'configmaps', 'large')
want('cut', (large['annotations'].get('audit.k8s.io/truncated'), 'requestObject' in large), ('true', False))

# nothing of what no rule wants
want('None', [e for e in events if e.get('objectRef', {}).get('resource') in ('nodes', 'leases')], [])
want('documents', [e['requestURI'] for e in events if 'objectRef' not in e and e['stage'] == 'ResponseComplete'], ['/version'])
# what admission has to say
seen = [e['annotations'] for e in events if e['stage'] == 'ResponseComplete' and (e.get('requestObject') or {}).get('metadata', {}).get('name') == 'seen'][0]
want('a policy that only audits', seen.get('validation.policy.admission.k8s.io/validation_failure'),
     '[{"message":"it is seen","policy":"watched","binding":"watched","expressionIndex":1,"validationActions":["Audit","Warn"]}]')
want('its annotations', [k for k in seen if k.startswith('watched/')] and seen['watched/name'], 'it is seen')
want('those without a value', [k for k in seen if k.startswith('watched/')], ['watched/name'])
host = [e['annotations'] for e in events if e['stage'] == 'ResponseComplete' and (e.get('requestObject') or {}).get('metadata', {}).get('name') == 'host'][0]
want('Pod Security', (host.get('pod-security.kubernetes.io/enforce-policy'), host.get('pod-security.kubernetes.io/audit-violations')),
     ('privileged:latest', 'would violate PodSecurity "baseline:latest": host namespaces (hostPID=true)'))

sys.exit(bad)
