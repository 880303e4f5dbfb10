package git

import "context"

// A fork's clone comes without files and index: then git's own index is made
// first, so that agents see a true status.
const restoreScript = `
git read-tree --reset -u "$1" &&
git clean -ffdq &&
{ [ -e "$GIT_DIR/index" ] || {
	unset GIT_INDEX_FILE
	git read-tree --reset HEAD && git update-index -q --refresh
}; }`

// Restore makes the run's files exactly those of a tree (or commit). Files that
// the tree's own .gitignore ignores stay.
func (c *Clone) Restore(ctx context.Context, tree string) error {
	if err := needIDs(tree); err != nil {
		return err
	}
	end, err := c.begin()
	if err != nil {
		return err
	}
	defer end()
	_, err = insist(c, func() (string, error) { return "", c.restore(ctx, tree) })
	return err
}

func (c *Clone) restore(ctx context.Context, tree string) error {
	c.tree = ""
	_, err := c.run(ctx, command{
		script: restoreScript, args: []string{tree}, access: writes, index: checkpointIndex, doing: "put the files back",
	})
	if err != nil {
		return err
	}
	return replaceFile(c.file(preparedMark), "")
}
