"""Definitions whose schemas have every shape, for the documents that show them."""
import json
import time

JSON = {"Content-Type": "application/json"}
GROUP = "documents.example.com"
S, I = {"type": "string"}, {"type": "integer"}


def schemas():
    """A definition of each has one thing that a schema can say."""
    obj = lambda **p: {"type": "object", "properties": p}
    yield "scalars", obj(s=S, i=I, i32={"type": "integer", "format": "int32"}, i64={"type": "integer", "format": "int64"}, n={"type": "number"}, f={"type": "number", "format": "float"}, d={"type": "number", "format": "double"}, b={"type": "boolean"},
                         date={"type": "string", "format": "date-time"}, day={"type": "string", "format": "date"}, byte={"type": "string", "format": "byte"}, other={"type": "string", "format": "hostname"}, odd={"type": "string", "format": "unknownformat"},
                         dur={"type": "string", "format": "duration"})
    yield "limits", obj(s={"type": "string", "minLength": 1, "maxLength": 9, "pattern": "^a+$", "enum": ["a", "aa"], "title": "Title", "example": "a"}, i={"type": "integer", "minimum": 0, "maximum": 9, "exclusiveMinimum": True, "exclusiveMaximum": True, "multipleOf": 3},
                        z={"type": "integer", "minimum": 0, "maximum": 0}, f={"type": "number", "minimum": 0.5, "maximum": 1e30}, l={"type": "array", "items": S, "minItems": 0, "maxItems": 5, "uniqueItems": False},
                        m={"type": "object", "additionalProperties": I, "minProperties": 1, "maxProperties": 3}, ei={"type": "integer", "enum": [1, 2]})
    yield "defaults", obj(s={"type": "string", "default": "a"}, i={"type": "integer", "default": 3}, o={"type": "object", "default": {}, "properties": {"x": {"type": "string", "default": "y"}}}, l={"type": "array", "items": S, "default": ["a"]},
                          b={"type": "boolean", "default": False}, n={"type": "string", "nullable": True, "default": None})
    yield "nullables", obj(s={"type": "string", "nullable": True}, o={"type": "object", "nullable": True, "properties": {"x": S}}, l={"type": "array", "nullable": True, "items": {"type": "string", "nullable": True}}, m={"type": "object", "additionalProperties": {"type": "string", "nullable": True}},
                           deep=obj(n={"type": "integer", "nullable": True}))
    yield "preserves", obj(o={"type": "object", "x-kubernetes-preserve-unknown-fields": True}, p={"type": "object", "x-kubernetes-preserve-unknown-fields": True, "properties": {"x": S}}, any={"x-kubernetes-preserve-unknown-fields": True},
                           l={"type": "array", "items": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}, arr={"type": "array", "items": S, "x-kubernetes-preserve-unknown-fields": True} if False else S)
    yield "preservesroots", {"type": "object", "x-kubernetes-preserve-unknown-fields": True, "properties": {"spec": obj(x=S)}}
    yield "bares", {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    yield "eithers", obj(a={"x-kubernetes-int-or-string": True}, b={"x-kubernetes-int-or-string": True, "anyOf": [I, S]}, c={"x-kubernetes-int-or-string": True, "allOf": [{"anyOf": [I, S]}, {"pattern": "^a"}]}, d={"x-kubernetes-int-or-string": True, "anyOf": [I, S], "pattern": "^[0-9]+$"},
                         l={"type": "array", "items": {"x-kubernetes-int-or-string": True}}, m={"type": "object", "additionalProperties": {"x-kubernetes-int-or-string": True}}, n={"x-kubernetes-int-or-string": True, "nullable": True})
    yield "embeddeds", obj(a={"type": "object", "x-kubernetes-embedded-resource": True, "x-kubernetes-preserve-unknown-fields": True}, b={"type": "object", "x-kubernetes-embedded-resource": True, "properties": {"spec": obj(x=S)}},
                           c={"type": "array", "items": {"type": "object", "x-kubernetes-embedded-resource": True, "x-kubernetes-preserve-unknown-fields": True}},
                           d={"type": "object", "x-kubernetes-embedded-resource": True, "properties": {"kind": {"type": "string"}, "metadata": {"type": "object", "properties": {"name": {"type": "string", "maxLength": 5}}}, "spec": obj(x=S)}, "required": ["metadata"]})
    yield "lists", obj(set={"type": "array", "items": S, "x-kubernetes-list-type": "set"}, atomic={"type": "array", "items": S, "x-kubernetes-list-type": "atomic"},
                       map={"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k", "p"], "items": {"type": "object", "required": ["k", "p"], "properties": {"k": S, "p": I}}},
                       objs={"type": "array", "items": {"type": "object", "x-kubernetes-map-type": "atomic", "properties": {"x": S}}}, am={"type": "object", "x-kubernetes-map-type": "atomic", "additionalProperties": S}, gm={"type": "object", "x-kubernetes-map-type": "granular", "additionalProperties": S},
                       nested={"type": "array", "items": {"type": "array", "items": S}}, free={"type": "array", "items": {"x-kubernetes-preserve-unknown-fields": True}})
    yield "maps", obj(s={"type": "object", "additionalProperties": S}, t={"type": "object", "additionalProperties": True}, o={"type": "object", "additionalProperties": obj(x=S)}, l={"type": "object", "additionalProperties": {"type": "array", "items": S}}, mm={"type": "object", "additionalProperties": {"type": "object", "additionalProperties": S}},
                      f={"type": "object", "additionalProperties": False} if False else S, none={"type": "object"})
    yield "unions", {"type": "object", "properties": {"spec": {"type": "object", "properties": {"a": S, "b": S, "c": I}, "oneOf": [{"required": ["a"]}, {"required": ["b"]}], "anyOf": [{"properties": {"a": {"minLength": 1}}}, {"required": ["b"]}], "allOf": [{"required": ["c"]}], "not": {"required": ["a", "b"]}}}}
    yield "rules", {"type": "object", "x-kubernetes-validations": [{"rule": "self.metadata.name != 'x'", "message": "not x"}],
                    "properties": {"spec": {"type": "object", "properties": {"r": {"type": "string", "maxLength": 9, "x-kubernetes-validations": [{"rule": "self == oldSelf", "reason": "FieldValueForbidden", "fieldPath": ".x" if False else "", "optionalOldSelf": True}]}},
                                            "x-kubernetes-validations": [{"rule": "has(self.r)", "messageExpression": "'r ' + 'is missing'"}]}}}
    yield "words", {"type": "object", "description": "A root that is described.", "required": ["spec", "metadata", "kind"], "properties": {"kind": {"type": "string", "description": "own"}, "apiVersion": {"type": "string", "description": "own"}, "metadata": {"type": "object", "properties": {"name": {"type": "string", "pattern": "^a", "maxLength": 9}}},
                    "spec": {"type": "object", "description": "spec words", "required": ["b", "a"], "properties": {"b": {"type": "string", "description": "b"}, "a": S, "$ref": S, "x-y": S, "external": {"type": "string", "externalDocs": {"url": "http://example.com", "description": "x"}}}}, "status": obj(phase=S)}}


def crd(plural, schema, n):
    kind = plural.capitalize()[:-1]
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    if n % 3 == 0:
        version["subresources"] = {"status": {}}
    if n % 3 == 1:
        version["subresources"] = {"status": {}, "scale": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}}
    if n % 4 == 0:
        version["selectableFields"] = [{"jsonPath": ".spec.words"}]
        schema.setdefault("properties", {})["spec"] = {"type": "object", "properties": {"words": S}}
    versions = [version]
    if n == 1:
        versions.append({"name": "v2beta1", "served": True, "storage": False, "deprecated": True, "schema": {"openAPIV3Schema": schema}})
        versions.append({"name": "v3", "served": False, "storage": False, "schema": {"openAPIV3Schema": schema}})
    return {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": f"{plural}.{GROUP}"},
            "spec": {"group": GROUP, "scope": "Cluster" if n % 2 else "Namespaced", "names": {"plural": plural, "singular": kind.lower(), "kind": kind, "listKind": kind + "List"}, "versions": versions}}


def make(servers):
    """Both servers get the definitions and show them."""
    wanted = list(schemas())
    for n, (plural, schema) in enumerate(wanted):
        answers = [s.ask("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", json.dumps(crd(plural, json.loads(json.dumps(schema)), n)), JSON) for s in servers]
        if any(a.status not in (201, 409) for a in answers):
            print(f"{plural}: {[(a.status, a.body[:300]) for a in answers]}")
    for s in servers:
        for _ in range(300):
            v2, v3 = s.ask("GET", "/openapi/v2").body, s.ask("GET", f"/openapi/v3/apis/{GROUP}/v1").body
            if all(f"/{plural}/".encode() in v2 and f"/{plural}/".encode() in v3 for plural, _ in wanted):
                break
            time.sleep(0.2)
