# Changes deploy/nginx.conf for Debian's nginx, with TLS and without containers. docs/install.md
# sed --file=deploy/debian.sed deploy/nginx.conf > /etc/nginx/nginx.conf

1i user www-data;
# systemd gives nginx no /dev/stdout; Debian rotates the files of this folder
s|/dev/stderr crit|/var/log/nginx/error.log crit|
s|/dev/stdout rata|/var/log/nginx/access.log rata|
s|server rata:8000|server 127.0.0.1:8000|
s|^\( *\)listen 80 |\1# listen 80 |
s|^\( *\)# \(listen 443\)|\1\2|
s|^\( *\)# \(ssl_\)|\1\2|
