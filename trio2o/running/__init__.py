"""Being a service: systemd's notifications, certificates that can be read again, health."""

from trio2o.running._certificates import Certificates
from trio2o.running._health import Health
from trio2o.running._notify import Notifier
from trio2o.running._reactor import install_reactor
