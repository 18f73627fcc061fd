#!/bin/sh
# Installs the service on Debian 12, as root in a checkout: sh deploy/install.sh rata.example.go.id
# The lines are those of steps 1 to 5 of docs/install.md. A second run keeps settings, certificate and data.
set -eu
umask 022
NAME=${1:?by which name do others call the service? sh deploy/install.sh rata.example.go.id}
cd "$(dirname "$0")/.."

# 1. Packages, user and database
apt-get update
apt-get install --yes postgresql nginx python3-venv openssl curl
adduser --system --group --home /var/lib/rata rata
runuser --user=postgres -- psql --quiet --set=ON_ERROR_STOP=1 < deploy/database.sql

# 2. Program
python3 -m venv /opt/rata
/opt/rata/bin/pip install --require-hashes --only-binary :all: -r requirements/base.txt
/opt/rata/bin/pip install --no-deps --no-build-isolation --no-index .
ln --symbolic --force --target-directory=/usr/local/bin /opt/rata/bin/rata

# 3. Settings, tables and reference data
install --directory --mode=0755 /etc/rata
test -e /etc/rata/rata.env || sed "s/rata.example.go.id/$NAME/" deploy/rata.env > /etc/rata/rata.env
chown root:rata /etc/rata/rata.env
chmod 0640 /etc/rata/rata.env
runuser --user=rata -- rata migrate
runuser --user=rata -- rata reference load

# 4. Service and nightly backup
install --mode=0644 deploy/rata.service deploy/rata-backup.service deploy/rata-backup.timer /etc/systemd/system/
systemctl enable rata.service rata-backup.timer
systemctl restart rata.service rata-backup.timer

# 5. Proxy with TLS
install --directory --mode=0750 /etc/nginx/tls
test -e /etc/nginx/tls/fullchain.pem || openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj "/CN=$NAME" \
  -addext "subjectAltName=DNS:$NAME" -keyout /etc/nginx/tls/privkey.pem -out /etc/nginx/tls/fullchain.pem
install --mode=0644 deploy/problems.conf /etc/nginx/problems.conf
sed --file=deploy/debian.sed deploy/nginx.conf > /etc/nginx/nginx.conf
nginx -t
systemctl restart nginx

echo "The service runs. Step 6 of docs/install.md makes the first administrator and checks the installation."
