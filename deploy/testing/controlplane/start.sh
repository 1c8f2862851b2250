#!/usr/bin/env bash
# Runs a real control plane for tests on loopback: etcd, kube-apiserver, kube-controller-manager, kube-scheduler.
#
#   deploy/testing/controlplane/start.sh BINARIES STATE PORT...
#
# BINARIES is what build.sh made; etcd is Debian's etcd-server. STATE is an empty directory. Five free ports:
# API server, etcd for clients, etcd for peers, controller manager, scheduler. Stays in the foreground; once
# STATE/ready exists, STATE/kubeconfig (user admin) works. A second user, `observer` (STATE/observer.kubeconfig),
# has no rights until a test gives some. Ends with everything it started on SIGTERM or SIGINT.
set -euo pipefail

usage="usage: start.sh BINARIES STATE API_PORT ETCD_PORT ETCD_PEER_PORT MANAGER_PORT SCHEDULER_PORT"
[[ $# -eq 7 ]] || { echo "$usage" >&2; exit 2; }
binaries=$(cd "$1" && pwd)
state=$2 api_port=$3 etcd_port=$4 peer_port=$5 manager_port=$6 scheduler_port=$7
readonly READY_SECONDS=60
readonly CLUSTER_IPS=10.96.0.0/24

command -v etcd > /dev/null || { echo "start.sh: etcd is not installed; apt-get install etcd-server" >&2; exit 1; }
umask 077
mkdir -p "$state/keys"
cd "$state"

started=()
end_all() {
	trap - EXIT INT TERM
	# The state is thrown away, so nobody needs time to end well.
	((${#started[@]})) && kill -KILL "${started[@]}" 2> /dev/null
	wait
}
trap end_all EXIT
trap 'exit 0' INT TERM

run() { # NAME COMMAND...
	local name=$1
	shift
	"$@" > "$name.log" 2>&1 &
	started+=($!)
}

new_user() { # NAME GROUP KUBECONFIG
	local token
	token=$(openssl rand -hex 16)
	echo "$token,$1,$1,\"$2\"" >> tokens.csv
	cat > "$3" <<- END
		apiVersion: v1
		kind: Config
		clusters:
		  - name: test
		    cluster:
		      server: https://127.0.0.1:$api_port
		      certificate-authority: $PWD/keys/authority.crt
		users:
		  - name: $1
		    user:
		      token: $token
		contexts:
		  - name: test
		    context:
		      cluster: test
		      user: $1
		current-context: test
	END
}

# Keys that live as long as the directory.
openssl genrsa -out keys/accounts.key 2048 2> /dev/null
openssl rsa -in keys/accounts.key -pubout -out keys/accounts.pub 2> /dev/null
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=test-authority \
	-keyout keys/authority.key -out keys/authority.crt 2> /dev/null
openssl req -newkey rsa:2048 -nodes -subj /CN=127.0.0.1 -keyout keys/server.key -out keys/server.csr 2> /dev/null
openssl x509 -req -in keys/server.csr -CA keys/authority.crt -CAkey keys/authority.key -CAcreateserial -days 2 \
	-extfile <(printf 'subjectAltName=IP:127.0.0.1\n') -out keys/server.crt 2> /dev/null

new_user admin system:masters kubeconfig
new_user observer "" observer.kubeconfig
probe_token=$(cut -d, -f1 tokens.csv | head -n 1)

run etcd etcd --data-dir etcd --unsafe-no-fsync --log-level warn \
	--listen-client-urls "http://127.0.0.1:$etcd_port" --advertise-client-urls "http://127.0.0.1:$etcd_port" \
	--listen-peer-urls "http://127.0.0.1:$peer_port" --initial-advertise-peer-urls "http://127.0.0.1:$peer_port" \
	--initial-cluster "default=http://127.0.0.1:$peer_port"

run kube-apiserver "$binaries/kube-apiserver" \
	--etcd-servers "http://127.0.0.1:$etcd_port" --bind-address 127.0.0.1 --secure-port "$api_port" \
	--tls-cert-file keys/server.crt --tls-private-key-file keys/server.key --cert-dir keys \
	--token-auth-file tokens.csv --authorization-mode RBAC --service-cluster-ip-range "$CLUSTER_IPS" \
	--service-account-issuer https://kubernetes.default.svc \
	--service-account-key-file keys/accounts.pub --service-account-signing-key-file keys/accounts.key \
	--disable-admission-plugins ServiceAccount

for ((attempt = 0; attempt < READY_SECONDS * 4; attempt++)); do
	kill -0 "${started[@]}" 2> /dev/null || { tail -n 5 etcd.log kube-apiserver.log >&2; exit 1; }
	answer=$(curl --silent --cacert keys/authority.crt --header "Authorization: Bearer $probe_token" \
		"https://127.0.0.1:$api_port/readyz" || true)
	[[ $answer == ok ]] && break
	sleep 0.25
done
[[ ${answer:-} == ok ]] || { echo "start.sh: no API server after $READY_SECONDS s; see $PWD/kube-apiserver.log" >&2; exit 1; }

common=(--kubeconfig kubeconfig --bind-address 127.0.0.1 --leader-elect=false)
run kube-controller-manager "$binaries/kube-controller-manager" "${common[@]}" --secure-port "$manager_port" \
	--cert-dir keys/manager --service-account-private-key-file keys/accounts.key --use-service-account-credentials
run kube-scheduler "$binaries/kube-scheduler" "${common[@]}" --secure-port "$scheduler_port" --cert-dir keys/scheduler

touch ready
wait
