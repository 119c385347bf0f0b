"""./run cluster: a real control plane and Prometheus with Sobre attached, until Ctrl-C."""
import pathlib
import signal
import tempfile

from tests import programs, world
from tests.harness import ControlPlane, Exporter, Prometheus, Sobre


def main() -> None:
    # A stop of any kind unwinds, so that nothing is left running.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    started = []
    with tempfile.TemporaryDirectory() as text:
        folder = pathlib.Path(text)
        try:
            plane = ControlPlane(folder, pathlib.Path(programs.named("control-plane")))
            started.append(plane)
            exporter = Exporter()
            started.append(exporter)
            exporter.text = world.exporter_text(world.PRICES, world.INTENSITY)
            prometheus = Prometheus(folder, exporter)
            started.append(prometheus)
            world.add_nodes(plane)
            sobre = Sobre(folder, world.sobre_config(plane, prometheus))
            started.append(sobre)
            plane.start_scheduler(sobre.url)
            print(f"Twenty nodes in four regions. Pods with `schedulerName: sobre` are placed by Sobre.\n\n"
                  f"  {plane.binaries}/kubectl --kubeconfig={plane.kubeconfig} get nodes\n"
                  f"  Sobre       {sobre.status_url}/\n  Prometheus  {prometheus.url}/\n\nCtrl-C stops all.", flush=True)
            signal.pause()
        except KeyboardInterrupt:
            print("\nStopping", flush=True)
        finally:
            for part in reversed(started):
                part.stop()


if __name__ == "__main__":
    main()
