"""`twistd trio2o`: see trio2o.service."""

from twisted.application.service import ServiceMaker

trio2o = ServiceMaker("Trio2o", "trio2o.service", "One OpenStack in front of many.", "trio2o")
