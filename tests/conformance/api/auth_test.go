package api

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"testing"

	authnv1 "k8s.io/api/authentication/v1"
	authzv1 "k8s.io/api/authorization/v1"
	certv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/retry"

	. "keelson/tests/testkit"
)

func TestCertificateSigningRequest(t *testing.T) {
	t.Parallel()
	ctx, csrs, label := Context(t), Kube(t).CertificatesV1().CertificateSigningRequests(), Name("csr")
	key := Get(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
	der := Get(x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "e2e", Organization: []string{"o"}}}, key))(t)
	csr := &certv1.CertificateSigningRequest{ObjectMeta: metav1.ObjectMeta{GenerateName: "e2e-", Labels: map[string]string{"test": label}},
		Spec: certv1.CertificateSigningRequestSpec{Request: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}),
			SignerName: "example.com/e2e-" + label, Usages: []certv1.KeyUsage{certv1.UsageDigitalSignature, certv1.UsageKeyEncipherment, certv1.UsageServerAuth}}}
	made := Get(csrs.Create(ctx, csr, metav1.CreateOptions{}))(t)
	Holds(t, made.Spec.Username != "" && len(made.Spec.Groups) > 0, "the requester is not written: %+v", made.Spec)
	Get(csrs.Create(ctx, csr, metav1.CreateOptions{}))(t)
	list := Get(csrs.List(ctx, metav1.ListOptions{FieldSelector: "spec.signerName=" + csr.Spec.SignerName}))(t)
	Equal(t, "listed by signer", len(list.Items), 2)
	patched := Get(csrs.Patch(ctx, made.Name, types.MergePatchType, []byte(`{"metadata":{"annotations":{"patched":"true"}}}`), metav1.PatchOptions{}))(t)
	Equal(t, "patched", patched.Annotations["patched"], "true")

	patched.Status.Conditions = []certv1.CertificateSigningRequestCondition{{Type: certv1.CertificateApproved, Status: corev1.ConditionTrue, Reason: "E2E", Message: "m"}}
	approved := Get(csrs.UpdateApproval(ctx, made.Name, patched, metav1.UpdateOptions{}))(t)
	Equal(t, "approved", approved.Status.Conditions[0].Type, certv1.CertificateApproved)
	Holds(t, !approved.Status.Conditions[0].LastUpdateTime.IsZero(), "without a time: %+v", approved.Status.Conditions)
	Get(csrs.Patch(ctx, made.Name, types.MergePatchType, []byte(`{"metadata":{"annotations":{"patchedapproval":"true"}}}`), metav1.PatchOptions{}, "approval"))(t)
	again := Get(csrs.Get(ctx, made.Name, metav1.GetOptions{}))(t)
	again.Status.Conditions = append(again.Status.Conditions, certv1.CertificateSigningRequestCondition{Type: "StatusUpdate", Status: corev1.ConditionTrue, Reason: "E2E", Message: "m"})
	Get(csrs.UpdateStatus(ctx, again, metav1.UpdateOptions{}))(t)
	Get(csrs.Patch(ctx, made.Name, types.MergePatchType, []byte(`{"metadata":{"annotations":{"patchedstatus":"true"}}}`), metav1.PatchOptions{}, "status"))(t)
	Must(t, csrs.Delete(ctx, made.Name, metav1.DeleteOptions{}))
	Must(t, csrs.DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: "test=" + label}))
	Equal(t, "left", len(Get(csrs.List(ctx, metav1.ListOptions{LabelSelector: "test=" + label}))(t).Items), 0)
}

// Whether a pod gets a token is said by it, else by its account, else it does.
func TestAutomountOptOut(t *testing.T) {
	t.Parallel()
	ctx, ns := Context(t), Namespace(t)
	yes, no := true, false
	for name, account := range map[string]*bool{"mount": &yes, "nomount": &no, "unset": nil} {
		Get(Kube(t).CoreV1().ServiceAccounts(ns).Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}, AutomountServiceAccountToken: account}, metav1.CreateOptions{}))(t)
		for say, pod := range map[string]*bool{"yes": &yes, "no": &no, "open": nil} {
			made := Get(Kube(t).CoreV1().Pods(ns).Create(ctx, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name + "-" + say}, Spec: corev1.PodSpec{ServiceAccountName: name,
				AutomountServiceAccountToken: pod, Containers: []corev1.Container{{Name: "c", Image: "i"}}}}, metav1.CreateOptions{}))(t)
			want := say == "yes" || say == "open" && name != "nomount"
			mounted := false
			for _, m := range made.Spec.Containers[0].VolumeMounts {
				mounted = mounted || m.MountPath == "/var/run/secrets/kubernetes.io/serviceaccount"
			}
			Equal(t, made.Name, mounted, want)
		}
	}
}

func TestTokenReview(t *testing.T) {
	t.Parallel()
	ctx, ns := Context(t), Namespace(t)
	account := Get(Kube(t).CoreV1().ServiceAccounts(ns).Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "e2e"}}, metav1.CreateOptions{}))(t)
	seconds := int64(600)
	token := Get(Kube(t).CoreV1().ServiceAccounts(ns).CreateToken(ctx, "e2e", &authnv1.TokenRequest{Spec: authnv1.TokenRequestSpec{ExpirationSeconds: &seconds}}, metav1.CreateOptions{}))(t)
	review := Get(Kube(t).AuthenticationV1().TokenReviews().Create(ctx, &authnv1.TokenReview{Spec: authnv1.TokenReviewSpec{Token: token.Status.Token}}, metav1.CreateOptions{}))(t)
	Equal(t, "error", review.Status.Error, "")
	Equal(t, "authenticated", review.Status.Authenticated, true)
	Equal(t, "user", review.Status.User.Username, fmt.Sprintf("system:serviceaccount:%s:e2e", ns))
	Equal(t, "uid", review.Status.User.UID, string(account.UID))
	Equal(t, "groups", fmt.Sprint(review.Status.User.Groups), fmt.Sprintf("[system:serviceaccounts system:serviceaccounts:%s system:authenticated]", ns))
}

// kube-root-ca.crt is there, and comes again after it was deleted or changed.
func TestRootCA(t *testing.T) {
	t.Parallel()
	ctx, maps := Context(t), Kube(t).CoreV1().ConfigMaps(Namespace(t))
	good := func() string {
		m, err := maps.Get(ctx, "kube-root-ca.crt", metav1.GetOptions{})
		if err != nil || m.Data["ca.crt"] == "" || len(m.Data) != 1 {
			return fmt.Sprint(err, m)
		}
		return ""
	}
	Eventually(t, "it is made", good)
	Must(t, maps.Delete(ctx, "kube-root-ca.crt", metav1.DeleteOptions{}))
	Eventually(t, "it is made again", good)
	Must(t, retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		m := Get(maps.Get(ctx, "kube-root-ca.crt", metav1.GetOptions{}))(t)
		m.Data = map[string]string{"ca.crt": ""}
		_, err := maps.Update(ctx, m, metav1.UpdateOptions{})
		return err
	}))
	Eventually(t, "it is mended", good)
}

func TestServiceAccountUpdate(t *testing.T) {
	t.Parallel()
	ctx, accounts := Context(t), Kube(t).CoreV1().ServiceAccounts(Namespace(t))
	made := Get(accounts.Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "a"}, AutomountServiceAccountToken: new(false)}, metav1.CreateOptions{}))(t)
	made.AutomountServiceAccountToken = new(true)
	after := Get(accounts.Update(ctx, made, metav1.UpdateOptions{}))(t)
	Equal(t, "automount", *after.AutomountServiceAccountToken, true)
}

// Reviews of another's access, in a namespace and in the cluster, agree with what impersonation shows.
func TestSubjectReviews(t *testing.T) {
	t.Parallel()
	ctx, ns, kube := Context(t), Namespace(t), Kube(t)
	user := "system:serviceaccount:" + ns + ":e2e"
	Get(kube.CoreV1().ServiceAccounts(ns).Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "e2e"}}, metav1.CreateOptions{}))(t)
	attributes := &authzv1.ResourceAttributes{Namespace: ns, Verb: "list", Resource: "configmaps", Version: "v1"}
	c := Config(t)
	c.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: []string{"system:authenticated", "system:serviceaccounts"}}
	robot := kubernetes.NewForConfigOrDie(c)
	check := func(want bool) {
		t.Helper()
		Eventually(t, fmt.Sprint("allowed: ", want), func() string {
			sar := Get(kube.AuthorizationV1().SubjectAccessReviews().Create(ctx, &authzv1.SubjectAccessReview{Spec: authzv1.SubjectAccessReviewSpec{
				ResourceAttributes: attributes, User: user}}, metav1.CreateOptions{}))(t)
			local := Get(kube.AuthorizationV1().LocalSubjectAccessReviews(ns).Create(ctx, &authzv1.LocalSubjectAccessReview{ObjectMeta: metav1.ObjectMeta{Namespace: ns},
				Spec: authzv1.SubjectAccessReviewSpec{ResourceAttributes: attributes, User: user}}, metav1.CreateOptions{}))(t)
			_, err := robot.CoreV1().ConfigMaps(ns).List(ctx, metav1.ListOptions{})
			if sar.Status.Allowed == want && local.Status.Allowed == want && (err == nil) == want {
				return ""
			}
			return fmt.Sprint(sar.Status, local.Status, err)
		})
	}
	check(false)
	Get(kube.RbacV1().RoleBindings(ns).Create(ctx, &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "view"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "view"},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: "e2e", Namespace: ns}}}, metav1.CreateOptions{}))(t)
	check(true)
}
