"""The frame of reconcilers; what they mend is other packages' matter."""

from trio2o.reconcile._everywhere import Reconcilers
from trio2o.reconcile._lease import Lease
from trio2o.reconcile._passes import Counted, Passes, Reconciler
