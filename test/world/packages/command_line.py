# Debian: python3-click python3-colorama
import click, sys
@click.group()
def cli(): "A tool."
@cli.command()
@click.option("--n", default=2, help="How many.", show_default=True)
@click.argument("name")
def hi(n, name):
    for _ in range(n): click.secho(f"hi {name}", fg="red")
    click.echo("é ü", err=True)
cli(sys.argv[1:] or ["hi", "--n", "3", "bob"])
