"""Who calls, what they may do, and where services are: all that Keystone tells."""

from trio2o.identity._catalog import Catalog
from trio2o.identity._keystone import Keystone, KeystoneUnavailable
from trio2o.identity._policy import ADMIN, Policy
from trio2o.identity._tokens import Tokens, check_access_rules
