-- The layout was compared before.
return 'OK'
