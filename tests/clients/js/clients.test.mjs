// The official JavaScript client against the server that KUBECONFIG names; results asserted. Run by node --test.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';

const k8s = createRequire(`${process.env.CLIENTS_JS}/`)('@kubernetes/client-node');
const config = new k8s.KubeConfig();
config.loadFromDefault();
const core = config.makeApiClient(k8s.CoreV1Api);
const apps = config.makeApiClient(k8s.AppsV1Api);
const namespace = `js-${randomUUID().slice(0, 8)}`;
const limit = 90_000;

async function eventually(what, holds) {
    const end = Date.now() + limit;
    for (;;) {
        const got = await holds();
        if (got) return got;
        assert.ok(Date.now() < end, what);
        await new Promise((go) => setTimeout(go, 50));
    }
}

async function refused(code, reason, text, call) {
    await assert.rejects(call, (e) => {
        const status = typeof e.body === 'string' ? JSON.parse(e.body) : e.body;
        assert.equal(e.code, code);
        assert.equal(status.reason, reason);
        assert.ok(status.message.includes(text), status.message);
        return true;
    });
}

const deployment = {
    metadata: { name: 'web', labels: { app: 'web' } },
    spec: {
        replicas: 2,
        selector: { matchLabels: { app: 'web' } },
        template: { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'web', image: 'busybox:1' }] } },
    },
};

before(() => core.createNamespace({ body: { metadata: { name: namespace } } }));
after(() => core.deleteNamespace({ name: namespace }));

test('verbs', async () => {
    const made = await core.createNamespacedConfigMap({ namespace, body: { metadata: { generateName: 'a-', labels: { k: 'v' } }, data: { a: 'ö' } } });
    assert.match(made.metadata.name, /^a-.{5}$/);
    assert.ok(made.metadata.creationTimestamp instanceof Date);
    const { name } = made.metadata;
    made.data.b = '2';
    const changed = await core.replaceNamespacedConfigMap({ name, namespace, body: made });
    assert.notEqual(changed.metadata.resourceVersion, made.metadata.resourceVersion);
    await refused(409, 'Conflict', 'the object has been modified', () => core.replaceNamespacedConfigMap({ name, namespace, body: made }));
    await refused(409, 'AlreadyExists', 'already exists', () => core.createNamespacedConfigMap({ namespace, body: { metadata: { name } } }));
    const merged = await core.patchNamespacedConfigMap(
        { name, namespace, body: { data: { b: null, c: '3' } } },
        k8s.setHeaderOptions('Content-Type', k8s.PatchStrategy.MergePatch),
    );
    assert.deepEqual(merged.data, { a: 'ö', c: '3' });
    const jsonPatched = await core.patchNamespacedConfigMap({ name, namespace, body: [{ op: 'remove', path: '/data/c' }] });
    assert.deepEqual(jsonPatched.data, { a: 'ö' });
    assert.equal((await core.listNamespacedConfigMap({ namespace, labelSelector: 'k=v' })).items.length, 1);
    assert.equal((await core.deleteNamespacedConfigMap({ name, namespace })).status, 'Success');
    await refused(404, 'NotFound', `configmaps "${name}" not found`, () => core.readNamespacedConfigMap({ name, namespace }));
    await refused(422, 'Invalid', 'metadata.name: Invalid value', () => core.createNamespacedConfigMap({ namespace, body: { metadata: { name: 'No!' } } }));
});

test('deployment, scale, pods', async () => {
    await apps.createNamespacedDeployment({ namespace, body: deployment });
    await eventually('two pods', async () => (await core.listNamespacedPod({ namespace, labelSelector: 'app=web' })).items.length === 2);
    const scale = await apps.readNamespacedDeploymentScale({ name: 'web', namespace });
    assert.equal(scale.spec.replicas, 2);
    await apps.patchNamespacedDeploymentScale(
        { name: 'web', namespace, body: { spec: { replicas: 3 } } },
        k8s.setHeaderOptions('Content-Type', k8s.PatchStrategy.StrategicMergePatch),
    );
    await eventually('three', async () => (await apps.readNamespacedDeployment({ name: 'web', namespace })).status.replicas === 3);
    await apps.deleteNamespacedDeployment({ name: 'web', namespace, propagationPolicy: 'Foreground' });
    await eventually('it goes', async () => (await core.listNamespacedPod({ namespace, labelSelector: 'app=web' })).items.length === 0);
});

test('watch', async () => {
    const start = (await core.listNamespacedConfigMap({ namespace })).metadata.resourceVersion;
    const seen = [];
    const watch = new k8s.Watch(config);
    const stop = await watch.watch(
        `/api/v1/namespaces/${namespace}/configmaps`,
        { resourceVersion: start },
        (type, o) => o.metadata.name.startsWith('w') && seen.push(`${type} ${o.metadata.name}`),
        () => {},
    );
    for (let i = 0; i < 5; i++) await core.createNamespacedConfigMap({ namespace, body: { metadata: { name: `w${i}` } } });
    await core.deleteNamespacedConfigMap({ name: 'w2', namespace });
    await eventually('six events', () => seen.length === 6);
    stop.abort();
    assert.deepEqual(seen, ['ADDED w0', 'ADDED w1', 'ADDED w2', 'ADDED w3', 'ADDED w4', 'DELETED w2']);
});

test('informer', async () => {
    const path = `/api/v1/namespaces/${namespace}/secrets`;
    const informer = k8s.makeInformer(config, path, () => core.listNamespacedSecret({ namespace }));
    const added = new Set();
    informer.on('add', (o) => added.add(o.metadata.name));
    informer.on('delete', (o) => added.delete(o.metadata.name));
    await informer.start();
    for (let i = 0; i < 5; i++) await core.createNamespacedSecret({ namespace, body: { metadata: { name: `s${i}` }, stringData: { a: 'b' } } });
    await core.deleteNamespacedSecret({ name: 's1', namespace });
    await eventually('four secrets', () => added.size === 4 && !added.has('s1'));
    await informer.stop();
    assert.equal((await core.readNamespacedSecret({ name: 's0', namespace })).data.a, 'Yg==');
});

test('objects of any kind', async () => {
    const client = k8s.KubernetesObjectApi.makeApiClient(config);
    const body = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'any', namespace }, data: { a: '1' } };
    await client.create(body);
    body.data.a = '2';
    const patched = await client.patch(body);
    assert.equal(patched.data.a, '2');
    assert.equal((await client.read(body)).data.a, '2');
    assert.ok((await client.list('apps/v1', 'Deployment')).items.length >= 0);
    await client.delete(body);
});

test('custom objects', async () => {
    const group = `g-${randomUUID().slice(0, 8)}.example.com`;
    const crds = config.makeApiClient(k8s.ApiextensionsV1Api);
    const objects = config.makeApiClient(k8s.CustomObjectsApi);
    const schema = { type: 'object', properties: { spec: { type: 'object', properties: { size: { type: 'integer', _default: 3 } } } } };
    await crds.createCustomResourceDefinition({
        body: {
            metadata: { name: `boats.${group}` },
            spec: {
                group,
                scope: 'Namespaced',
                names: { plural: 'boats', singular: 'boat', kind: 'Boat' },
                versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: schema } }],
            },
        },
    });
    await eventually('established', async () => {
        const crd = await crds.readCustomResourceDefinition({ name: `boats.${group}` });
        return crd.status?.conditions?.some((c) => c.type === 'Established' && c.status === 'True');
    });
    const at = { group, version: 'v1', namespace, plural: 'boats' };
    const made = await objects.createNamespacedCustomObject({ ...at, body: { apiVersion: `${group}/v1`, kind: 'Boat', metadata: { name: 'b' }, spec: {} } });
    assert.equal(made.spec.size, 3);
    assert.equal((await objects.listNamespacedCustomObject(at)).items.length, 1);
    await crds.deleteCustomResourceDefinition({ name: `boats.${group}` });
});

test('versions and reviews', async () => {
    const version = await config.makeApiClient(k8s.VersionApi).getCode();
    assert.equal(version.major, '1');
    const groups = await config.makeApiClient(k8s.ApisApi).getAPIVersions();
    assert.ok(groups.groups.some((g) => g.name === 'apps'));
    const review = await config.makeApiClient(k8s.AuthenticationV1Api).createSelfSubjectReview({ body: {} });
    assert.ok(review.status.userInfo.groups.includes('system:masters') || review.status.userInfo.username);
});
