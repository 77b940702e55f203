"""The lab: several OpenStack regions on one machine, real control planes over fake hypervisors."""
