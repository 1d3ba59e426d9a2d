"""What kubectl is told. A line is a command; "< NAME" at its end gives it one of OBJECTS as its standard input. READS may run in any order and at once; STEPS, which write, one after the other."""
import json
import shlex

WEB = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "labels": {"app": "web"}},
       "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "nginx:1", "ports": [{"containerPort": 80}]}]}}}}
MAP = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}, "data": {"a": "1"}}
POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "nginx"}]}}
THING = {"apiVersion": "reads.example.com/v1", "kind": "Thing", "metadata": {"name": "k"}, "spec": {"number": 2, "words": "a"}}


def changed(o, **paths):
    """A copy, with what stands at spec__replicas and the like replaced."""
    o = json.loads(json.dumps(o))
    for path, v in paths.items():
        *way, last = [int(k) if k.isdigit() else k for k in path.split("__")]
        place = o
        for k in way:
            place = place[k]
        place[last] = v
    return o


def many(*objects):
    return {"apiVersion": "v1", "kind": "List", "items": list(objects)}


OBJECTS = {"WEB": WEB, "WEB3": changed(WEB, spec__replicas=3), "WEBIMAGE": changed(WEB, spec__template__spec__containers__0__image="nginx:2"), "WEBSELECTOR": changed(WEB, spec__selector={"matchLabels": {"app": "other"}}),
           "WEBUNKNOWN": changed(WEB, spec__nothing=1), "WEBBAD": changed(WEB, spec__replicas="x"), "MAP": MAP, "MAP2": changed(MAP, data={"a": "2", "b": "3"}), "MAPBAD": changed(MAP, metadata__name="_"), "MAPNONE": changed(MAP, metadata={}),
           "MAPOTHER": changed(MAP, metadata__namespace="other"), "POD": POD, "PODCHANGED": changed(POD, spec__containers__0__name="d"), "PODBAD": changed(POD, spec__containers=[]), "THING": THING, "THINGBAD": changed(THING, spec__number=99),
           "THINGUNKNOWN": changed(THING, spec__unheard=1), "NOKIND": {"apiVersion": "v1", "metadata": {"name": "x"}}, "OTHERKIND": {"apiVersion": "nothing.example.com/v1", "kind": "Nothing", "metadata": {"name": "x"}}, "BOTH": many(MAP, POD),
           "BOTHBAD": many(changed(MAP, metadata__name="n"), changed(POD, metadata__name="q", spec__containers=[]))}

FORMS = ("-o wide", "-o yaml", "-o json", "-o name", "-o 'jsonpath={range .items[*]}{.metadata.name}{.metadata.labels}{end}'", "-o custom-columns=N:.metadata.name,L:.metadata.labels.team", "-o 'go-template={{range .items}}{{.kind}} {{.metadata.name}} {{end}}'",
         "--show-labels --show-kind", "-L team,n --sort-by=.metadata.name", "--no-headers", "--chunk-size=1", "-l none=x", "-w --output-watch-events --request-timeout=1s", "-w --request-timeout=1s", "--server-print=false", "--field-selector metadata.name=one")
OF_KIND = """
get {kind} {every} -l team=x --show-labels --show-kind
get {kind} {here} -l team -o wide
get {kind} {here} -l team -o yaml --show-managed-fields
get {kind} absent {here}
get {kind} {here} --field-selector metadata.name=one,a=b
describe {kind} {here} -l team
describe {kind} absent {here}
explain {kind} --api-version {version}
explain {kind} --api-version {version} --recursive
explain {kind}.nothing
delete {kind} absent {here}
delete {kind} --all --dry-run=server {here}
label {kind} --all x=y --dry-run=server {here}
annotate {kind} --all x=y --dry-run=server -o yaml {here}
auth can-i create {kind} {here}
auth can-i delete {kind} {here} --as jane
"""
READS = """
api-versions
api-resources
api-resources -o wide
api-resources -o name
api-resources --namespaced=false
api-resources --api-group=apps --no-headers
api-resources --verbs=list,get
api-resources --categories=all
api-resources --sort-by=kind
version
cluster-info
cluster-info dump --namespaces r2 -o yaml
auth whoami
auth whoami -o yaml
auth can-i --list
auth can-i --list -n r1 --as jane
auth can-i --list --as system:serviceaccount:r1:default
auth can-i get pods --subresource=log --as jane
auth can-i get /healthz --as jane
auth can-i list deployments.apps/x -n r1
auth can-i nothing nothing
auth can-i '*' '*'
auth can-i get pods --as jane --as-group system:masters -n r1
get all -n r1
get all -A -o name
get pods,services,nothing -n r1
get pods,services -n r1 -o yaml
get pod/one svc/one -n r1
get pods one two absent -n r1
get po,deploy,cm -n r2 -o wide
get nothing
get pods.v1. -n r1
get deployments.v1.apps -n r1
get deployments.v2.apps -n r1
get th -n r1
get things.v1beta1.reads.example.com -n r1 -o yaml
get things.v1alpha1.reads.example.com -n r1
get orbs -o yaml
get pods -n none
get pods -n none --as jane
get pods -n r1 --token x
get --raw /nothing
get --raw /api/v1/namespaces/r1/configmaps/one
get --raw /api/v1/namespaces/r1/configmaps/absent
get --raw /readyz
get --raw /version
get pods -n r1 -l 'a b'
get pods -n r1 -l 'a in (b'
get pods -n r1 --field-selector a=b
get pods -n states
get pods -n states -o wide
get nodes -o wide
get pod one -n r1 --subresource=status -o yaml
get deploy one -n r1 --subresource=scale
get deploy one -n r1 --subresource=scale -o yaml
get things t0 -n r1 --subresource=scale -o yaml
get things t0 -n r1 --subresource=status
get cm one -n r1 --subresource=status
get cm one -n r1 --subresource=nothing
get events -A
events -n r1
events -A --types=Warning
events -n r1 --for pod/one
events -n r1 -o yaml
rollout history deploy/one -n r1
rollout history ds/one -n r1
rollout history sts/one -n r1
rollout history deploy/one -n r1 --revision=5
rollout status deploy/one -n r1 --watch=false
rollout status deploy/absent -n r1
rollout status ds/one -n r1 --watch=false
rollout status sts/one -n r1 --watch=false
rollout status pods/one -n r1
rollout undo deploy/one -n r1 --dry-run=server
rollout restart cm/one -n r1
logs one -n r1
logs absent -n r1
logs one -c none -n r1
logs -l team=x -n r1
logs deploy/one -n r1
logs one -n r1 -p
exec one -n r1 -- ls
exec absent -n r1 -- ls
exec one -c none -n r1 -- ls
attach absent -n r1
attach one -n r1
port-forward absent 80 -n r1
port-forward svc/absent 80 -n r1
cp /etc/hostname r1/absent:/tmp/x
debug absent -n r1 --image=x
wait pod/one -n r1 --for=condition=Ready --timeout=2s
wait pod/absent -n r1 --for=delete --timeout=2s
wait pod/one -n r1 --for=jsonpath={.status.phase}=Running --timeout=2s
wait pod/one -n r1 --for=condition=Nothing --timeout=1s
wait cm/one -n r1 --for=create --timeout=1s
certificate approve absent
certificate deny absent
explain nothing
explain pod.spec.containers.resources
explain pods --output plaintext-openapiv2
explain pod.spec --recursive --output plaintext-openapiv2
explain things.spec
explain things.spec.map.port
explain things --recursive
explain orbs
explain things --api-version=reads.example.com/v1beta1
explain things --api-version=reads.example.com/v1alpha1
explain hpa.spec --api-version=autoscaling/v1
drain one --dry-run=server --ignore-daemonsets --force
cordon one --dry-run=server
uncordon one --dry-run=server
cordon absent
taint nodes one a=b:NoSchedule --dry-run=server -o yaml
taint nodes one a=b:Wrong
describe nodes
describe nodes one
describe pods -n states
describe quota -A
describe all -n r2
describe things -n r1
describe orbs
describe pods -l team=x -A
describe pod on -n r1
describe nothing
describe crd things.reads.example.com
describe ns r1
describe svc -n r1
describe secret big -n r2
top nothing
create token default -n r1 --duration=1s
create token absent -n r1
create token default -n r1 --bound-object-kind=Pod --bound-object-name=absent
create -n r1 --dry-run=server -o yaml -f - < WEB
create -n r1 --dry-run=server -o yaml -f - < MAP
create -n r1 --dry-run=server -o yaml -f - < POD
create -n r1 --dry-run=server -o yaml -f - < THING
create -n r1 --dry-run=server -f - < WEBUNKNOWN
create -n r1 --dry-run=server --validate=warn -f - < WEBUNKNOWN
create -n r1 --dry-run=server --validate=false -f - < WEBUNKNOWN
create -n r1 --dry-run=server -f - < WEBBAD
create -n r1 --dry-run=server --validate=false -f - < WEBBAD
create -n r1 --dry-run=server -f - < WEBSELECTOR
create -n r1 --dry-run=server -f - < MAPBAD
create -n r1 --dry-run=server -f - < MAPNONE
create -n r1 --dry-run=server -f - < MAPOTHER
create -n r1 --dry-run=server -f - < PODBAD
create -n r1 --dry-run=server -f - < THINGBAD
create -n r1 --dry-run=server -f - < THINGUNKNOWN
create -n r1 --dry-run=server -f - < NOKIND
create -n r1 --dry-run=server -f - < OTHERKIND
create -n r1 --dry-run=server -f - < BOTHBAD
create -n none --dry-run=server -f - < MAP
apply -n r1 --dry-run=server -o yaml -f - < WEB
apply -n r1 --dry-run=server --server-side -o yaml -f - < WEB
apply -n r1 --dry-run=server --server-side -f - < WEBUNKNOWN
apply -n r1 --dry-run=server --server-side -f - < MAPBAD
apply -n r1 --dry-run=server --server-side -f - < THINGBAD
replace -n r1 --dry-run=server -f - < WEB
diff -n r1 -f - < WEB
diff -n r1 --server-side -f - < WEB
diff -n r1 -f - < THINGBAD
create deployment d --image=x --replicas=2 --port=80 --dry-run=server -o yaml -n r1
create cm d --from-literal=a=b --dry-run=server -o yaml -n r1
create secret generic d --from-literal=a=b --dry-run=server -o yaml -n r1
create secret docker-registry d --docker-username=a --docker-password=b --docker-server=c --dry-run=server -o yaml -n r1
create service clusterip d --tcp=80 --dry-run=server -o yaml -n r1
create service nodeport d --tcp=80 --dry-run=server -o yaml -n r1
create service loadbalancer d --tcp=80 --dry-run=server -o yaml -n r1
create service externalname d --external-name=a.b --dry-run=server -o yaml -n r1
create job d --image=x --dry-run=server -o yaml -n r1 -- a b
create cronjob d --image=x --schedule='* * * * *' --dry-run=server -o yaml -n r1
create cronjob d --image=x --schedule=x --dry-run=server -n r1
create job d --from=cronjob/one --dry-run=server -o yaml -n r1
create ingress d --rule=a.b/c=svc:80 --dry-run=server -o yaml -n r1
create role d --verb=get --resource=pods --dry-run=server -o yaml -n r1
create rolebinding d --role=one --user=u --dry-run=server -o yaml -n r1
create clusterrole d --verb=get --resource=pods,pods/log --dry-run=server -o yaml
create clusterrole d --verb=get --non-resource-url=/x --dry-run=server -o yaml
create clusterrolebinding d --clusterrole=one --group=g --dry-run=server -o yaml
create sa d --dry-run=server -o yaml -n r1
create ns d --dry-run=server -o yaml
create quota d --hard=pods=1,cpu=2 --dry-run=server -o yaml -n r1
create quota d --hard=pods=1 --scopes=Wrong --dry-run=server -n r1
create pdb d --selector=a=b --min-available=50% --dry-run=server -o yaml -n r1
create priorityclass d --value=5 --dry-run=server -o yaml
create ns r1 --dry-run=server
create sa default -n r1 --dry-run=server
run d --image=x --dry-run=server -o yaml -n r1
run d --image=x --labels=a=b --env=A=B --port=80 --restart=Never --dry-run=server -o yaml -n r1
run D_ --image=x --dry-run=server -n r1
expose deploy one --port=80 --dry-run=server -o yaml -n r1 --name=e
expose pod one --port=80 --dry-run=server -o yaml -n r1 --name=e
autoscale deploy one --min=1 --max=3 --dry-run=server -o yaml -n r1 --name=e
scale deploy one --replicas=5 --dry-run=server -o yaml -n r1
scale deploy absent --replicas=5 -n r1
scale cm one --replicas=5 -n r1
scale deploy one --replicas=5 --current-replicas=9 --dry-run=server -n r1
set image deploy/one '*=y' --dry-run=server -o yaml -n r1
set env deploy/one A=B --dry-run=server -o yaml -n r1
set resources deploy/one --limits=cpu=1 --dry-run=server -o yaml -n r1
set serviceaccount deploy/one x --dry-run=server -o yaml -n r1
set selector svc/one a=b --dry-run=server -o yaml -n r1
set subject rolebinding/one --user=v --dry-run=server -o yaml -n r1
label pod one team=w -n r1 --dry-run=server
label pod one team=w -n r1 --overwrite --dry-run=server -o yaml
label pod one 'bad label=w' -n r1 --dry-run=server
label pod one a=-x -n r1 --dry-run=server
label pods -l team=x new=y -n r1 --dry-run=server
annotate pod one a=b -n r1 --dry-run=server -o yaml
patch pod one -n r1 --dry-run=server -p '{"metadata":{"labels":{"a":"b"}}}' -o yaml
patch pod one -n r1 --dry-run=server -p '{"spec":{"containers":[{"name":"main","image":"y"}]}}'
patch pod one -n r1 --dry-run=server --type=merge -p '{"spec":{"nodeName":"y"}}'
patch pod one -n r1 --dry-run=server --type=json -p '[{"op":"test","path":"/spec/nodeName","value":"none"}]'
patch pod one -n r1 --dry-run=server --type=json -p '[{"op":"remove","path":"/nothing"}]'
patch deploy one -n r1 --dry-run=server --subresource=scale --type=merge -p '{"spec":{"replicas":7}}' -o yaml
patch deploy one -n r1 --dry-run=server --subresource=status --type=merge -p '{"status":{"replicas":7}}' -o yaml
patch things t0 -n r1 --dry-run=server -p '{"spec":{"number":4}}'
patch things t0 -n r1 --dry-run=server --type=merge -p '{"spec":{"number":40}}'
patch things t0 -n r1 --dry-run=server --type=merge -p '{"spec":{"number":4}}' -o yaml
patch cm one -n r1 --dry-run=server -p '{'
patch cm one -n r1 --dry-run=server -p '{"data":{"a":1}}'
delete pod one -n r1 --dry-run=server
delete pod one -n r1 --dry-run=server --force
delete pods -l team=x -n r1 --dry-run=server -o name
delete ns none
delete nothing one
reconcile
auth reconcile -n r1 --dry-run=server -f - < MAP
kustomize /nothing
"""
STEPS = """
create ns k
create sa default -n k
apply -n k -f - < WEB
apply -n k -f - < WEB
apply -n k -f - < WEB3
apply -n k -f - < WEBSELECTOR
apply -n k -f - < WEBUNKNOWN
apply -n k -f - < WEBBAD
diff -n k -f - < WEBIMAGE
apply view-last-applied deploy/web -n k -o yaml
apply -n k --server-side -f - < WEBIMAGE
apply -n k --server-side --field-manager=other -f - < WEB
apply -n k --server-side --field-manager=other --force-conflicts -f - < WEB
get deploy web -n k -o yaml --show-managed-fields
set image deploy/web c=nginx:3 -n k
set image deploy/web none=nginx:3 -n k
scale deploy/web --replicas=4 -n k
scale deploy/web --replicas=4 --current-replicas=9 -n k
autoscale deploy/web --max=5 -n k
expose deploy/web --port=80 -n k
rollout pause deploy/web -n k
rollout pause deploy/web -n k
rollout restart deploy/web -n k
rollout resume deploy/web -n k
rollout resume deploy/web -n k
rollout undo deploy/web -n k
rollout status deploy/web -n k --timeout=1s
annotate deploy/web -n k kubernetes.io/change-cause=x
rollout history deploy/web -n k
get deploy,hpa,svc -n k -o yaml --show-managed-fields
describe deploy,hpa,svc -n k
create -n k -f - < BOTH
create -n k -f - < BOTH
create -n k -f - < BOTHBAD
apply -n k -f - < MAP2
get cm m -n k -o yaml
replace -n k -f - < MAP
replace -n k --force -f - < MAP
replace -n k -f - < PODCHANGED
apply -n k -f - < PODCHANGED
edit cm m -n k
get cm m -n k -o yaml
edit pod p -n k
label cm m a=b -n k
label cm m a=c -n k
label cm m a=c --overwrite -n k
label cm m a- -n k
label cm m a- -n k
annotate cm m a=b -n k
annotate cm m a- -n k
patch cm m -n k -p '{"data":{"a":null}}'
patch cm m -n k --type=json -p '[{"op":"add","path":"/data","value":{"x":"y"}}]'
patch cm m -n k --type=merge -p '{"data":{}}'
patch pod p -n k -p '{"spec":{"containers":[{"name":"c","image":"y"}]}}'
get pod p -n k -o yaml --show-managed-fields
run r --image=x -n k
debug r -n k --image=y -c dbg
get pod r -n k -o yaml
create -n k -f - < THING
apply -n k -f - < THING
apply -n k -f - < THINGBAD
apply -n k --server-side -f - < THING
get things -n k -o yaml --show-managed-fields
scale things/k --replicas=5 -n k
delete things k -n k
delete things k -n k
create quota q --hard=configmaps=1,pods=9 -n k
get quota -n k
describe quota -n k
create job j --image=x -n k
create cronjob c --image=x --schedule='@daily' -n k
create job from --from=cronjob/c -n k
get job from -n k -o yaml
create role r --verb=get --resource=pods -n k
create rolebinding r --role=r --user=jane -n k
auth can-i get pods -n k --as jane
auth can-i --list -n k --as jane
get pods -n k --as jane
get cm -n k --as jane
delete rolebinding r -n k
create token default -n k
create secret generic s --from-literal=a=b -n k
describe secret s -n k
create ingress i --rule=a.b/c=web:80 -n k
describe ingress i -n k
create pdb b --selector=app=web --min-available=1 -n k
get pdb -n k
delete pod p -n k --wait=false
get pod p -n k
delete pod r -n k --grace-period=0 --force
delete pods --all -n k
delete deploy,svc,hpa --all -n k
delete cm,secret,job,cronjob,ing,pdb,quota,role -n k --all
get all -n k
cordon one
get node one
taint nodes one a=b:NoSchedule
taint nodes one a=b:NoSchedule
taint nodes one a-
uncordon one
drain one --ignore-daemonsets --force --timeout=1s
uncordon one
certificate approve one
certificate deny two
get csr
"""


def split(line, **words):
    """(arguments, standard input)"""
    line, _, given = line.partition(" < ")
    return shlex.split(line.format(**words) if words else line), json.dumps(OBJECTS[given]) if given else None


def reads(resources):
    """resources: (name, version, namespaced) of what both serve."""
    for name, version, namespaced in resources:
        for line in OF_KIND.strip().splitlines():
            yield split(line, kind=name, version=version, here="-n r1" if namespaced else "", every="-A" if namespaced else "")
    for form in FORMS:
        for what in ("pods -n r1", "deployments -A", "things -n r1", "nodes", "pod one -n r1"):
            yield split(f"get {what} {form}")
    for line in READS.strip().splitlines():
        yield split(line)


def steps():
    for line in STEPS.strip().splitlines():
        yield split(line)
