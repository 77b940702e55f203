"""What Neutron sees of a host of an OVN pod: a chassis that is alive and takes each port at once.

python -m labplugin.chassis HOST BRIDGE_MAPPINGS NORTHBOUND SOUTHBOUND
"""

import csv
import subprocess
import sys
import time

SECONDS = 0.1
TABLE = ["-f", "csv", "-d", "bare", "--no-headings", "--columns=_uuid,type,requested_chassis"]


def run(program: str, database: str, *words: str) -> str:
    command = [program, f"--db={database}", "--timeout=10", *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def main(host: str, mappings: str, north: str, south: str) -> None:
    def sb(*words: str) -> str:
        return run("ovn-sbctl", south, *words)

    told = f'ovn-bridge-mappings="{mappings}"', "ovn-cms-options=enable-chassis-as-gw"
    more = [f"{column}:{one}" for column in ("other_config", "external_ids") for one in told]
    sb("--may-exist", "chassis-add", host, "geneve", "127.0.0.1")
    sb("set", "Chassis", host, f"hostname={host}", *more)
    id = sb("get", "Chassis", host, "_uuid").strip()
    if not sb("--bare", "find", "Chassis_Private", f"name={host}").strip():
        sb("create", "Chassis_Private", f"name={host}", f"chassis={id}")
    while True:
        number = run("ovn-nbctl", north, "get", "NB_Global", ".", "nb_cfg").strip()
        now = int(time.time() * 1000)
        sb("set", "Chassis_Private", host, f"nb_cfg={number}", f"nb_cfg_timestamp={now}")
        free = sb(*TABLE, "find", "Port_Binding", "chassis=[]")
        changes: list[str] = []
        for port, kind, where in csv.reader(free.splitlines()):
            if kind == "chassisredirect" or (kind == "" and where == id):
                changes += ["--", "--if-exists", "set", "Port_Binding", port]
                changes += [f"chassis={id}", "up=true"]
        if changes:
            sb(*changes[1:])
        time.sleep(SECONDS)


if __name__ == "__main__":
    main(*sys.argv[1:])
