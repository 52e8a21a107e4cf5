import { DUMP_FILES, PODS_FOLDER } from './dump-folder.ts';

/**
 * A script for `sh` that a person runs as root on a node. It asks and changes nothing: it writes the files of
 * {@link DUMP_FILES} into a folder, and with `--pods`, or for each `NAME=FILE` of a namespace, one more for a pod.
 */
export function collectScript(): string {
  const keeps = DUMP_FILES.map(({ name, tool, command }) => `  keep ${name} ${tool} ${quoted(command)}`);
  return `${HEAD}
collect() {
  folder=$1
  mkdir -p "$folder" || exit 1
${keeps.join('\n')}
}
${TAIL}`;
}

const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

const HEAD = `#!/bin/sh
# Writes what decides about packets on this node into a folder, for: fairlead why FROM TO --nodes PARENT_OF_FOLDER
# It only reads. Run it as root, and name the folder as Kubernetes names the node.
#   sh collect.sh FOLDER                  this node
#   sh collect.sh FOLDER --pods           and the network namespace of every process that has another one
#   sh collect.sh FOLDER NAME=FILE ...    and these namespaces, such as default_web=/run/netns/cni-1234
set -u
LC_ALL=C
export LC_ALL
[ $# -ge 1 ] || { echo "usage: sh $0 FOLDER [--pods] [NAME=FILE ...]" >&2; exit 1; }

# keep FILE TOOL COMMAND: without the tool there is no file, and what failed is told and leaves none.
keep() {
  if ! command -v "$2" >/dev/null 2>&1; then
    echo "$folder/$1: there is no $2 here" >&2
  elif $enter sh -c "$3" >"$folder/.part" 2>"$folder/.said"; then
    mv -f "$folder/.part" "$folder/$1"
  else
    echo "$folder/$1: $2 failed: $(head -n 1 "$folder/.said")" >&2
  fi
  rm -f "$folder/.part" "$folder/.said"
}
`;

const TAIL = `
node=$1
shift
enter=
collect "$node"
for arg in "$@"; do
  if [ "$arg" = --pods ]; then
    seen=" $(stat -L -c %i /proc/self/ns/net) "
    for space in /proc/[0-9]*/ns/net; do
      number=$(stat -L -c %i "$space" 2>/dev/null) || continue
      case $seen in *" $number "*) continue ;; esac
      seen="$seen$number "
      enter="nsenter --net=$space --"
      collect "$node/${PODS_FOLDER}/$number"
    done
  else
    enter="nsenter --net=\${arg#*=} --"
    collect "$node/${PODS_FOLDER}/\${arg%%=*}"
  fi
done
`;
