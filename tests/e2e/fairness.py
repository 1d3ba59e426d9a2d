"""Who runs when too many ask. usage: fairness.py URL PKI_DIR TOKEN_NOISY TOKEN_QUIET, or (the noisy part) fairness.py URL PKI_DIR TOKEN -"""
import http.client
import json
import ssl
import subprocess
import sys
import threading
import time
import urllib.parse

url, pki = sys.argv[1:3]
host = urllib.parse.urlparse(url)
MAPS = '/api/v1/namespaces/default/configmaps'
FLOW = '/apis/flowcontrol.apiserver.k8s.io/v1'
bad = 0


def connect(token=None):
    tls = ssl.create_default_context(cafile=pki + '/ca.crt')
    if not token:
        tls.load_cert_chain(pki + '/admin.crt', pki + '/admin.key')
    return http.client.HTTPSConnection(host.hostname, host.port, context=tls, timeout=300)


def ask(c, path, method='GET', body=None, **headers):
    h = dict((k.replace('_', '-'), v) for k, v in headers.items())
    c.request(method, path, json.dumps(body) if body else None, dict(h, **{'Content-Type': 'application/json'}))
    r = c.getresponse()
    data = r.read()
    return r.status, data, dict((k.lower(), v) for k, v in r.getheaders())


def fail(text):
    global bad
    print('FAILED: ' + text)
    bad = 1


def wait(what, seconds=60):
    for _ in range(seconds * 10):
        if what():
            return True
        time.sleep(0.1)
    return False


def uid(c, kind, name):
    return json.loads(ask(c, '%s/%s/%s' % (FLOW, kind, name))[1]).get('metadata', {}).get('uid')


def classes(answer):
    return answer[2].get('x-kubernetes-pf-flowschema-uid'), answer[2].get('x-kubernetes-pf-prioritylevel-uid')


def level(name, response):
    return {'metadata': {'name': name}, 'spec': {'type': 'Limited', 'limited': {'nominalConcurrencyShares': 0, 'borrowingLimitPercent': 0,
                                                                               'limitResponse': response}}}


def schema(name, to, user):
    return {'metadata': {'name': name}, 'spec': {
        'priorityLevelConfiguration': {'name': to}, 'matchingPrecedence': 20, 'distinguisherMethod': {'type': 'ByUser'},
        'rules': [{'subjects': [{'kind': 'User', 'user': {'name': user}}],
                   'resourceRules': [{'verbs': ['*'], 'apiGroups': ['*'], 'resources': ['*'], 'namespaces': ['*'], 'clusterScope': True}]}]}}


def hold(user):
    """A list that nobody reads keeps its seats."""
    c = connect()
    c.request('GET', MAPS + '?labelSelector=large', headers={'Impersonate-User': user})
    return c


def one_at_a_time(admin):
    """Levels without seats of their own run one request at a time."""
    for i in range(40):
        ask(admin, MAPS, 'POST', {'metadata': {'name': 'large-%d' % i, 'labels': {'large': 'yes'}}, 'data': {'a': 'x' * 900000}})
    ask(admin, FLOW + '/prioritylevelconfigurations', 'POST', level('hard', {'type': 'Reject'}))
    ask(admin, FLOW + '/prioritylevelconfigurations', 'POST',
        level('soft', {'type': 'Queue', 'queuing': {'queues': 1, 'handSize': 1, 'queueLengthLimit': 1}}))
    ask(admin, FLOW + '/flowschemas', 'POST', schema('hard', 'hard', 'hal'))
    ask(admin, FLOW + '/flowschemas', 'POST', schema('soft', 'soft', 'sam'))
    own = {'Impersonate_User': 'hal'}
    if not wait(lambda: classes(ask(admin, MAPS + '/nothing', **own)) == (uid(admin, 'flowschemas', 'hard'), uid(admin, 'prioritylevelconfigurations', 'hard'))):
        fail('a schema of our own does not classify')
    first = hold('hal')
    if not wait(lambda: ask(admin, MAPS + '/nothing', **own)[0] == 429):
        fail('the level that rejects does not')
    status, data, headers = ask(admin, MAPS + '/nothing', **own)
    if json.loads(data)['reason'] != 'TooManyRequests' or headers.get('retry-after') != '1' or not classes((status, data, headers))[0]:
        fail('429 says: %s %s' % (data, headers))
    first.close()
    if not wait(lambda: ask(admin, MAPS + '/nothing', **own)[0] == 404):
        fail('a seat is lost')
    first, got, own = hold('sam'), [], {'Impersonate_User': 'sam'}

    def dump(what, *texts):
        return any(all(t in line for t in texts) for line in ask(admin, '/debug/api_priority_and_fairness/' + what)[1].decode().split('\n'))

    if not wait(lambda: dump('dump_requests?includeRequestDetails=1', 'soft,', '-1,', 'sam,', 'list,')):
        fail('dump_requests does not show who runs')
    waiter = threading.Thread(target=lambda: got.append(ask(connect(), MAPS + '/nothing', **own)[0]))
    waiter.start()
    if not wait(lambda: dump('dump_requests?includeRequestDetails=1', 'soft,', 'sam,', 'get,', '/nothing,')) or not dump('dump_queues', 'soft,', '0,'):
        fail('nobody waits')
    if not dump('dump_priority_levels', 'soft,', 'false,'):
        fail('dump_priority_levels')
    if ask(admin, MAPS + '/nothing', **own)[0] != 429:
        fail('the queue has room for one')
    if got:
        fail('it did not wait: %s' % got)
    first.close()
    waiter.join(60)
    if got != [404]:
        fail('who waited got %s' % got)


def noisy(token):
    """Thirty connections of lists that cost the server much and nobody else, until stdin ends. Prints the mean time of one."""
    times, over = [], []
    selector = ','.join('label-number-%d!=x' % i for i in range(20, 40)) + ',no=such'

    def run():
        c = connect(token)
        while not over:
            began = time.monotonic()
            status = ask(c, MAPS + '?' + urllib.parse.urlencode({'labelSelector': selector}), Authorization='Bearer ' + token)[0]
            times.append(time.monotonic() - began)
            if status not in (200, 429):
                print('status', status)
                return

    threads = [threading.Thread(target=run) for _ in range(30)]
    for t in threads:
        t.start()
    print('on', flush=True)
    sys.stdin.read()
    over.append(1)
    for t in threads:
        t.join()
    print(sum(times) / len(times), len(times), flush=True)


def flood(admin):
    labels = dict(('label-number-%d' % i, 'v' * 60) for i in range(40))
    for i in range(1000):
        ask(admin, MAPS, 'POST', {'metadata': {'name': 'many-%d' % i, 'labels': labels}})
    token = sys.argv[4]
    n = subprocess.Popen([sys.executable, __file__, url, pki, sys.argv[3], '-'], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    n.stdout.readline()
    time.sleep(2)                       # let it fill the queues: what is compared are means
    quiet, c = [], connect(token)
    for i in range(60):
        began = time.monotonic()
        status = ask(c, MAPS + '/many-%d' % i, Authorization='Bearer ' + token)[0]
        quiet.append(time.monotonic() - began)
        if status != 200:
            fail('the quiet one got %d' % status)
    out = n.communicate('')[0].split()
    loud, mean = float(out[0]), sum(quiet) / len(quiet)
    print('a request of the noisy took %.1f ms (%s of them), of the quiet %.1f ms' % (loud * 1e3, out[1], mean * 1e3))
    if mean * 3 > loud:
        fail('the quiet one waits like the noisy one')


if sys.argv[4] == '-':
    noisy(sys.argv[3])
    sys.exit(0)
administrator = connect()
one_at_a_time(administrator)
flood(administrator)
sys.exit(bad)
