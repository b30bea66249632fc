#!/usr/bin/env bash
# Try this tree on a fresh minimal system: python3, git, make and apt, and nothing else.
#
#   try-root.sh SUITE root|user CMD...      bookworm, trixie, noble
#   try-root.sh trixie user make test
#   try-root.sh noble root bash -c 'time make demo; time make demo'
#
# CMD runs in a fresh clone of the committed HEAD, as root or as an ordinary user, with this machine's
# network for downloads; what it changes is thrown away. A suite is made once and kept in
# ${XDG_CACHE_HOME:-~/.cache}/postroad-roots. pip's settings of this machine are handed on (PIP_*),
# with its certificates; its apt settings are those of the suite (MIRROR=... names another mirror).
# Needs root and mmdebstrap; noble needs Ubuntu's keyring too, and fetches it from Debian's archive.
set -euo pipefail

usage() { sed -n '2,/^set -e/s/^# \{0,1\}//p' "$0" >&2; exit 2; }
die() { echo "try-root: $*" >&2; exit 2; }
[ $# -ge 3 ] || usage
suite=$1 who=$2; shift 2
case $who in root) uid=0 home=/root;; user) uid=1000 home=/home/anna;; *) usage;; esac
[ "$(id -u)" = 0 ] || die "it mounts, so it needs root"
command -v mmdebstrap >/dev/null || die "type: apt-get install -y --no-install-recommends mmdebstrap"

tree=$(cd "$(dirname "$0")/../.." && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/postroad-roots
base=$cache/$suite
mkdir -p "$cache"

make_base() {
  local options=()
  case $suite in noble|jammy)
    options+=(--components=main,universe --keyring="$cache/ubuntu-archive-keyring.gpg")
    if [ ! -f "$cache/ubuntu-archive-keyring.gpg" ]; then # Debian ships it, signed by keys that we trust
      mmdebstrap --quiet --variant=extract --include=ubuntu-keyring trixie "$cache/keyring"
      cp "$cache/keyring/usr/share/keyrings/ubuntu-archive-keyring.gpg" "$cache/"
      rm -r "$cache/keyring"
    fi;;
  esac
  echo "try-root: making $suite (once)" >&2
  rm -rf "$base.new"
  mmdebstrap --quiet --variant=minbase --include=apt,python3,git,make "${options[@]}" \
    --dpkgopt=force-unsafe-io --customize-hook='chroot "$1" useradd --create-home --uid 1000 anna' \
    "$suite" "$base.new" ${MIRROR:+"$MIRROR"}
  mv "$base.new" "$base"
}
exec 9>"$base.lock"
flock 9
[ -d "$base" ] || make_base
flock -u 9

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/top" "$work/scratch" "$work/root"

settings=(HOME="$home" PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8)
for name in PIP_INDEX_URL PIP_DEFAULT_TIMEOUT HTTP_PROXY HTTPS_PROXY http_proxy https_proxy LINK SEED CI WITH; do
  if [ -n "${!name:-}" ]; then settings+=("$name=${!name}"); fi
done
certificates=${PIP_CERT:-${SSL_CERT_FILE:-}}
if [ -n "$certificates" ]; then settings+=(PIP_CERT=/certificates.pem); fi

# Mounts live in namespaces of their own, so nothing is left behind, even after a SIGKILL. The root is
# entered by pivot_root: the kernel grants no user namespace to a process in a chroot.
export work base tree certificates uid home
unshare --mount --pid --fork --kill-child bash -euc '
  mount -t overlay overlay -o "lowerdir=$base,upperdir=$work/top,workdir=$work/scratch" "$work/root"
  cd "$work/root"
  cp -L /etc/resolv.conf etc/resolv.conf
  if [ -n "$certificates" ]; then cp -L "$certificates" certificates.pem; fi
  mkdir -p tree before
  mount --bind -o ro "$tree" tree
  mount -t proc proc proc
  mount -t sysfs -o ro sysfs sys
  mount --rbind /dev dev
  mount -t tmpfs -o mode=1777 tmpfs tmp
  pivot_root . before
  umount -l before
  cd /
  exec setpriv --reuid "$uid" --regid "$uid" --clear-groups env -i "$@"
' bash "${settings[@]}" bash -euc '
  cd
  git config --global safe.directory "*" # the tree belongs to somebody else
  git clone --quiet /tree postroad
  cd postroad
  "$@"
' bash "$@"
