"""`assay completion SHELL`: the script that makes a shell complete commands and options."""

from __future__ import annotations

import click

from .failures import Failed

# Elvish is not among click's shells; it is answered in fish's words: `type,value<tab>help`, a line each.
_ELVISH = """\
use str
set edit:completion:arg-completer[assay] = {|@words|
    var line = (print $@words | slurp)
    e:env _ASSAY_COMPLETE=fish_complete COMP_WORDS=$line COMP_CWORD=$words[-1] assay | from-lines | each {|answer|
        var parts = [(str:split &max=2 , $answer)]
        if (eq $parts[0] plain) {
            var told = [(str:split &max=2 "\\t" $parts[1])]
            if (eq (count $told) (num 2)) {
                edit:complex-candidate $told[0] &display=$told[0]' ('$told[1]')'
            } else {
                put $told[0]
            }
        } else {
            edit:complete-filename $words[-1]
        }
    }
}
"""
_HOW = {
    "bash": ("bash 4.4 or later", ["echo 'eval \"$(assay completion bash)\"' >> ~/.bashrc"]),
    "zsh": (
        "zsh, after `autoload -Uz compinit && compinit`",
        ["echo 'eval \"$(assay completion zsh)\"' >> ~/.zshrc"],
    ),
    "fish": ("fish", ["assay completion fish > ~/.config/fish/completions/assay.fish"]),
    "powershell": (
        "PowerShell 5.1 or later",
        ["'assay completion powershell | Out-String | Invoke-Expression' >> $PROFILE"],
    ),
    "elvish": ("elvish 0.19 or later", ["echo 'eval (assay completion elvish | slurp)' >> ~/.config/elvish/rc.elv"]),
}


@click.command()
@click.argument("shell", type=click.Choice(list(_HOW)))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script that makes SHELL complete commands and options. Its head says how to install it."""
    name, steps = _HOW[shell]
    lines = [f"Completes `assay` in {name}. To have it in every new shell:", *(f"    {step}" for step in steps)]
    # zsh reads the first line of an autoloaded file, so what click writes stands first there.
    told = "".join(f"# {line}\n" for line in lines)
    script = _script(context, shell)
    click.echo(f"{script}\n{told}" if script.startswith("#compdef") else f"{told}\n{script}", nl=False)


def _script(context: click.Context, shell: str) -> str:
    from click.shell_completion import get_completion_class

    if shell == "elvish":
        return _ELVISH
    found = get_completion_class(shell)
    if found is None:
        raise Failed(f"the installed click knows no completion for {shell}: pip install --upgrade click")
    completer = found(context.find_root().command, {}, "assay", "_ASSAY_COMPLETE")
    # Not source(): for bash that runs bash to look at its version.
    script: str = completer.source_template % completer.source_vars()
    return script
