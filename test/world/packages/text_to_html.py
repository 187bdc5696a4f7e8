# Debian: python3-markdown
import markdown
print(markdown.markdown("# T\n\n* a\n* b\n\n|x|y|\n|-|-|\n|1|2|\n", extensions=["tables", "toc"]))
