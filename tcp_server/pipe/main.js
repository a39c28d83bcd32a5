// Pipe shows how to store what clients send: each appends to a file.
//
//	node tcp_server/pipe/main.js
'use strict'
const fs = require('node:fs')
const net = require('node:net')
const { parseArgs } = require('node:util')

const { addr, to } = parseArgs({ options: {
  addr: { type: 'string', default: '127.0.0.1:8080' },
  to: { type: 'string', default: 'message.txt' }
} }).values
const [, host, port] = /^\[?(.*?)\]?:(\d+)$/.exec(addr)

const fd = fs.openSync(to, 'a')

const server = net.createServer((socket) => {
  const peer = at(socket.remoteAddress, socket.remotePort)
  const file = fs.createWriteStream(to, { fd, autoClose: false })
  socket.pipe(file)
  file.on('finish', () => console.log(`${peer} piped ${file.bytesWritten} bytes`))
  socket.on('error', (err) => console.error(`pipe: ${err.message}`)) // unheard, it would end the process
})
server.on('error', (err) => {
  console.error(`pipe: ${err.message}`)
  process.exitCode = 1
})
server.listen(port, host, () => {
  console.log('listening on', at(server.address().address, server.address().port))
})

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    server.close()
    console.log('closed')
    process.exit() // connections still open would keep it alive
  })
}

function at (ip, port) {
  return net.isIPv6(ip) ? `[${ip}]:${port}` : `${ip}:${port}`
}
