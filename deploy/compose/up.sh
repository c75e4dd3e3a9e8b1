#!/bin/sh
# Makes the secrets that are not there yet, and starts everything. What stands
# behind ./up.sh is for "docker compose up".
set -eu
cd "$(dirname "$0")"

# Nobody else on this machine gets into the folder. The files in it are read by the
# users of the containers, so that their own mode has to let them.
mkdir -p -m 0700 secrets
for name in oidc valkey session-key; do
  [ -s "secrets/$name" ] || (umask 022 && head -c 32 /dev/urandom | base64 >"secrets/$name")
done

exec docker compose up --build --wait "$@"
