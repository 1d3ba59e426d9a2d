package api

// Kinds of networking, storage and workloads.
var operationsOfWork = []operation{
	{name: "CronJob", resource: "cronjobs", namespaced: true, object: `
apiVersion: batch/v1
kind: CronJob
metadata: {name: NAME}
spec:
  schedule: "0 0 31 2 *"
  jobTemplate: {spec: {template: {spec: {restartPolicy: OnFailure, containers: [{name: c, image: busybox}]}}}}
`, status: `{"status":{"lastScheduleTime":"2026-01-01T00:00:00Z"}}`, shown: "status.lastScheduleTime"},
	{name: "PodDisruptionBudget", resource: "poddisruptionbudgets", namespaced: true, object: `
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: NAME}
spec: {minAvailable: "<N>0%", selector: {matchLabels: {none: of-this}}}
`},
	{name: "EndpointSlice", resource: "endpointslices", namespaced: true, object: `
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: NAME}
addressType: IPv4
endpoints: [{addresses: [10.1.2.<N>], conditions: {ready: true}}]
ports: [{name: http, port: 80, protocol: TCP}]
`},
	{name: "Endpoints", resource: "endpoints", namespaced: true, object: `
apiVersion: v1
kind: Endpoints
metadata: {name: NAME, labels: {endpointslice.kubernetes.io/skip-mirror: "true"}}
subsets: [{addresses: [{ip: 10.0.0.2<N>}], ports: [{name: http, port: 80, protocol: TCP}]}]
`},
	{name: "Ingress", resource: "ingresses", namespaced: true, object: `
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: NAME}
spec: {ingressClassName: c, rules: [{host: h<N>.example.com, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: s, port: {number: 80}}}}]}}]}
`, status: `{"status":{"loadBalancer":{"ingress":[{"ip":"169.1.1.1"}]}}}`, shown: "status.loadBalancer.ingress"},
	{name: "IngressClass", resource: "ingressclasses", object: `
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: NAME}
spec: {controller: example.com/controller}
`},
	{name: "IPAddress", resource: "ipaddresses", object: `
apiVersion: networking.k8s.io/v1
kind: IPAddress
metadata: {name: 192.168.77.<N>}
spec: {parentRef: {group: "", resource: services, namespace: none-of-this-name, name: s}}
`},
	{name: "ServiceCIDR", resource: "servicecidrs", object: `
apiVersion: networking.k8s.io/v1
kind: ServiceCIDR
metadata: {name: NAME}
spec: {cidrs: [192.0.<N>.0/24]}
`, status: `{"status":{"conditions":[{"type":"Shown","status":"True","reason":"Patched","message":"m","lastTransitionTime":"2026-01-01T00:00:00Z"}]}}`, shown: "status.conditions"},
	{name: "CSIDriver", resource: "csidrivers", object: `
apiVersion: storage.k8s.io/v1
kind: CSIDriver
metadata: {name: NAME}
spec: {attachRequired: false, volumeLifecycleModes: [Ephemeral]}
`},
	{name: "CSINode", resource: "csinodes", object: `
apiVersion: storage.k8s.io/v1
kind: CSINode
metadata: {name: NAME}
spec: {drivers: [{name: d.example.com, nodeID: NAME, topologyKeys: [t], allocatable: {count: 1<N>}}]}
`},
	{name: "CSIStorageCapacity", resource: "csistoragecapacities", namespaced: true, object: `
apiVersion: storage.k8s.io/v1
kind: CSIStorageCapacity
metadata: {name: NAME}
storageClassName: c
capacity: <N>Gi
nodeTopology: {matchLabels: {zone: z}}
`},
	{name: "StorageClass", resource: "storageclasses", object: `
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: NAME}
provisioner: example.com/p
`},
	{name: "VolumeAttachment", resource: "volumeattachments", object: `
apiVersion: storage.k8s.io/v1
kind: VolumeAttachment
metadata: {name: NAME}
spec: {attacher: d.example.com, nodeName: n1, source: {persistentVolumeName: pv}}
`, status: `{"status":{"attached":true}}`, shown: "status.attached"},
	{name: "VolumeAttributesClass", resource: "volumeattributesclasses", object: `
apiVersion: storage.k8s.io/v1
kind: VolumeAttributesClass
metadata: {name: NAME}
driverName: d.example.com
parameters: {iops: "<N>"}
`},
}
