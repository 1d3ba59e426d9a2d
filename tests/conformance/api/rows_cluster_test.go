package api

// Kinds of the cluster: access, admission, priority and fairness, nodes, events, configuration.
var operations = append([]operation{
	{name: "FlowSchema", resource: "flowschemas", object: `
apiVersion: flowcontrol.apiserver.k8s.io/v1
kind: FlowSchema
metadata: {name: NAME}
spec:
  matchingPrecedence: 999<N>
  priorityLevelConfiguration: {name: global-default}
  distinguisherMethod: {type: ByUser}
  rules:
  - subjects: [{kind: User, user: {name: NAME}}]
    nonResourceRules: [{verbs: ["*"], nonResourceURLs: ["*"]}]
`, status: `{"status":{"conditions":[{"type":"PatchStatusFailed","status":"False","reason":"Patched","lastTransitionTime":"2026-01-01T00:00:00Z"}]}}`, shown: "status.conditions"},
	{name: "PriorityLevelConfiguration", resource: "prioritylevelconfigurations", object: `
apiVersion: flowcontrol.apiserver.k8s.io/v1
kind: PriorityLevelConfiguration
metadata: {name: NAME}
spec:
  type: Limited
  limited: {nominalConcurrencyShares: 2, limitResponse: {type: Reject}}
`, status: `{"status":{"conditions":[{"type":"PatchStatusFailed","status":"False","reason":"Patched","lastTransitionTime":"2026-01-01T00:00:00Z"}]}}`, shown: "status.conditions"},
	{name: "ValidatingAdmissionPolicy", resource: "validatingadmissionpolicies", object: `
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: NAME}
spec:
  matchConstraints:
    namespaceSelector: {matchLabels: {only-of: NAME}}
    resourceRules: [{apiGroups: [apps], apiVersions: [v1], operations: [CREATE], resources: [deployments]}]
  validations: [{expression: object.spec.replicas <= 100}]
`, status: `{"status":{"conditions":[{"type":"Shown","status":"True","reason":"Patched","message":"m","lastTransitionTime":"2026-01-01T00:00:00Z"}]}}`, shown: "status.conditions"},
	{name: "ValidatingAdmissionPolicyBinding", resource: "validatingadmissionpolicybindings", object: `
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: NAME}
spec: {policyName: none-of-this-name, validationActions: [Deny]}
`},
	{name: "MutatingAdmissionPolicy", resource: "mutatingadmissionpolicies", object: `
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicy
metadata: {name: NAME}
spec:
  matchConstraints:
    namespaceSelector: {matchLabels: {only-of: NAME}}
    resourceRules: [{apiGroups: [apps], apiVersions: [v1], operations: [CREATE], resources: [deployments]}]
  reinvocationPolicy: Never
  mutations: [{patchType: ApplyConfiguration, applyConfiguration: {expression: "Object{spec: Object.spec{replicas: 3}}"}}]
`},
	{name: "MutatingAdmissionPolicyBinding", resource: "mutatingadmissionpolicybindings", object: `
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicyBinding
metadata: {name: NAME}
spec: {policyName: none-of-this-name}
`},
	{name: "RuntimeClass", resource: "runtimeclasses", object: `
apiVersion: node.k8s.io/v1
kind: RuntimeClass
metadata: {name: NAME}
handler: runc
overhead: {podFixed: {cpu: 10m}}
`},
	{name: "PriorityClass", resource: "priorityclasses", object: `
apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata: {name: NAME}
value: <N>
preemptionPolicy: Never
`},
	{name: "Node", resource: "nodes", object: `
apiVersion: v1
kind: Node
metadata: {name: NAME}
`, status: `{"status":{"phase":"Running"}}`, shown: "status.phase"},
	{name: "Lease", resource: "leases", namespaced: true, object: `
apiVersion: coordination.k8s.io/v1
kind: Lease
metadata: {name: NAME}
spec: {holderIdentity: holder, leaseDurationSeconds: 30, leaseTransitions: 0, acquireTime: "2026-01-01T00:00:00.000000Z", renewTime: "2026-01-01T00:00:05.000000Z"}
`},
	{name: "CoreEvent", resource: "events", namespaced: true, object: `
apiVersion: v1
kind: Event
metadata: {name: NAME}
involvedObject: {kind: Pod, namespace: NS, name: p}
reason: Test
message: hello
type: Normal
count: <N>
`},
	{name: "Event", resource: "events", namespaced: true, object: `
apiVersion: events.k8s.io/v1
kind: Event
metadata: {name: NAME}
regarding: {kind: Pod, namespace: NS, name: p}
eventTime: "2026-01-01T00:00:00.123456Z"
reportingController: test-controller
reportingInstance: test-node
action: Do
reason: Test
note: hello
type: Normal
`},
	{name: "LimitRange", resource: "limitranges", namespaced: true, object: `
apiVersion: v1
kind: LimitRange
metadata: {name: NAME}
spec: {limits: [{type: Container, max: {cpu: "<N>"}, default: {cpu: 50m}, defaultRequest: {cpu: 10m}}]}
`},
	{name: "ConfigMap", resource: "configmaps", namespaced: true, object: `
apiVersion: v1
kind: ConfigMap
metadata: {name: NAME}
data: {value: Default}
`},
	{name: "Secret", resource: "secrets", namespaced: true, object: `
apiVersion: v1
kind: Secret
metadata: {name: NAME}
type: Opaque
data: {key: dmFsdWU=}
`},
	{name: "ServiceAccount", resource: "serviceaccounts", namespaced: true, object: `
apiVersion: v1
kind: ServiceAccount
metadata: {name: NAME}
automountServiceAccountToken: false
`},
	{name: "PodTemplate", resource: "podtemplates", namespaced: true, object: `
apiVersion: v1
kind: PodTemplate
metadata: {name: NAME}
template: {spec: {containers: [{name: c, image: busybox}]}}
`},
	{name: "DeviceClass", resource: "deviceclasses", object: `
apiVersion: resource.k8s.io/v1
kind: DeviceClass
metadata: {name: NAME}
spec: {selectors: [{cel: {expression: 'device.driver == "example.com"'}}]}
`},
	{name: "ResourceClaim", resource: "resourceclaims", namespaced: true, object: `
apiVersion: resource.k8s.io/v1
kind: ResourceClaim
metadata: {name: NAME}
spec: {devices: {requests: [{name: r, exactly: {deviceClassName: c}}]}}
`, status: `{"status":{"allocation":{"devices":{"results":[{"request":"r","driver":"example.com","pool":"p","device":"d"}]}}}}`, shown: "status.allocation"},
	{name: "ResourceClaimTemplate", resource: "resourceclaimtemplates", namespaced: true, object: `
apiVersion: resource.k8s.io/v1
kind: ResourceClaimTemplate
metadata: {name: NAME}
spec: {spec: {devices: {requests: [{name: r, exactly: {deviceClassName: c}}]}}}
`},
	{name: "ResourceSlice", resource: "resourceslices", object: `
apiVersion: resource.k8s.io/v1
kind: ResourceSlice
metadata: {name: NAME}
spec:
  driver: example.com
  nodeName: n1
  pool: {name: NAME, generation: 1, resourceSliceCount: 1}
  devices: [{name: d, attributes: {model: {string: x}}, capacity: {memory: {value: 1Gi}}}]
`},
}, operationsOfWork...)
