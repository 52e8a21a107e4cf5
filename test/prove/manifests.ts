/** Two nodes, a pod on the first, and its Service with policy Local, as YAML. */
const node = (name: string, at: number) => `
apiVersion: v1
kind: Node
metadata: {name: ${name}}
spec: {podCIDR: 172.16.${at}.0/24}
status: {addresses: [{type: InternalIP, address: 192.168.0.1${at}}, {type: ExternalIP, address: 100.64.1.${at}}]}
---`;
export const TWO_NODES = `${node('n1', 1)}${node('n2', 2)}
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: default, labels: {app: web}}
spec: {nodeName: n1, containers: [{name: web, ports: [{containerPort: 80}]}]}
status: {phase: Running, podIP: 172.16.1.10, conditions: [{type: Ready, status: "True"}]}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: default}
spec:
  type: NodePort
  externalTrafficPolicy: Local
  clusterIP: 10.247.0.10
  selector: {app: web}
  ports: [{port: 80, targetPort: 80, nodePort: 30080}]
`;
