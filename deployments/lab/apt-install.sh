#!/usr/bin/env bash
# Install Debian packages without asking, as root or through sudo: apt-install.sh PACKAGE...
set -euo pipefail

if [ "$#" -eq 0 ]; then
  echo "usage: $0 PACKAGE..." >&2
  exit 2
fi
if ! command -v apt-get > /dev/null; then
  echo "there is no apt here: install $* by the means of this system" >&2
  exit 1
fi
run=()
if [ "$(id -u)" -ne 0 ]; then
  if ! sudo -n true 2> /dev/null; then
    echo "root is needed: run  sudo apt-get install $*" >&2
    exit 1
  fi
  run=(sudo -n)
fi
install() {
  "${run[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet=2 --no-install-recommends "$@" > /dev/null
}
install "$@" || { "${run[@]}" apt-get update --quiet=2 && install "$@"; }
